"""The daemon's numbers as Prometheus reads them, made when somebody looks and at no other time."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from retempo.runtime.gauges import Gauge
from retempo.runtime.histogram import BOUNDS_US, Histogram
from retempo.runtime.metric_families import FAMILIES, Family, Scrape

Registered = Iterable[tuple[Gauge, float]]

_BOUNDS = (*(str(bound / 1e6) for bound in BOUNDS_US), "+Inf")


class ScrapeCollector(Collector):
    """Makes the metrics of one scrape.

    Args:
        scrape: returns what the daemon is now.
        registered: returns the numbers that its parts have registered.
    """

    def __init__(self, scrape: Callable[[], Scrape], registered: Callable[[], Registered]) -> None:
        self._scrape = scrape
        self._registered = registered

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values."""
        scrape = self._scrape()
        for family in FAMILIES:
            yield _metric(family, scrape)
        for gauge, value in self._registered():
            kind = CounterMetricFamily if gauge.kind == "counter" else GaugeMetricFamily
            yield kind(gauge.name, gauge.about, value)


def render(collector: Collector, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the text form that the scraper asks for."""
    registry = CollectorRegistry()
    registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _metric(family: Family, scrape: Scrape) -> Metric:
    samples = family.read(scrape)
    if family.kind == "histogram":
        timed = HistogramMetricFamily(family.name, family.about, labels=family.labels)
        for labels, value in samples:
            assert isinstance(value, Histogram)  # noqa: S101  (the table's kind says so)
            timed.add_metric(labels, _buckets(value), value.sum_us / 1e6)
        return timed
    if family.kind == "info":
        info = InfoMetricFamily(family.name, family.about, labels=family.labels)
        for labels, value in samples:
            assert not isinstance(value, float | int | Histogram)  # noqa: S101
            info.add_metric(labels, dict(value))
        return info
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = kind(family.name, family.about, labels=family.labels)
    for labels, value in samples:
        assert isinstance(value, float | int)  # noqa: S101
        plain.add_metric(labels, value)
    return plain


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    below, buckets = 0, []
    for bound, count in zip(_BOUNDS, histogram.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets
