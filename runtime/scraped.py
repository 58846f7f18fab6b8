"""A daemon as its own `/metrics` page shows it: read, and two looks compared."""

import http.client
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from retempo.runtime.errors import FeedError
from retempo.runtime.histogram import quantile

_MOST_BYTES = 64 * 2**20
_FORM = "write the daemon's [metrics] bind, such as 127.0.0.1:9464 or http://127.0.0.1:9464/metrics"
Labels = Mapping[str, str]


@dataclass(slots=True)
class Scraped:
    """One look: numbers by their metric, and of each stream that is open.

    `steps` and `stream_steps` hold the cumulative buckets of the step times by upper bound, in
    seconds.
    """

    at_s: float
    numbers: dict[str, float] = field(default_factory=dict)
    fates: dict[str, float] = field(default_factory=dict)
    model: Labels = field(default_factory=dict)
    version: str = ""
    labels: dict[int, str] = field(default_factory=dict)
    steps: dict[float, float] = field(default_factory=dict)
    streams: dict[str, dict[str, float]] = field(default_factory=dict)
    stream_steps: dict[str, dict[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A stream, or all of them, between two looks; times in seconds, None where unknown."""

    stream: str
    label: str
    events_per_s: float
    decisions_per_s: float
    dt_s: float
    behind_s: float
    queued: int
    shed: int
    late: int
    invalid: int
    masked: int
    lost: int
    step_p50_s: float | None
    step_p99_s: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """A daemon between two looks."""

    version: str
    model: str
    engine: str
    policy: str
    uptime_s: float
    busy: float
    age_s: float
    unaccounted: int
    whole: Row
    streams: list[Row]


class Looks:
    """Looks at a daemon again and again.

    Args:
        address: of its metrics, see `page_of`.
        clock: seconds.

    Raises:
        FeedError: nobody serves metrics there.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._before = self._look()

    def again(self) -> "Overview":
        """Return what the daemon did since the last look that succeeded.

        Raises:
            FeedError: it does not answer now.
        """
        now = self._look()
        overview, self._before = compare(self._before, now), now
        return overview

    def _look(self) -> Scraped:
        return read_page(fetch(self._address), self._clock())


def page_of(text: str) -> tuple[str, str]:
    """Return the host and port, and the path, of a daemon's metrics.

    Raises:
        FeedError: it is no address of a page.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or port is None:
        raise FeedError(f"{text!r} is no address of a metrics page; {_FORM}")
    return parts.netloc, parts.path if parts.path not in ("", "/") else "/metrics"


def fetch(address: str, timeout_s: float = 5.0) -> str:
    """Return the metrics page of a daemon.

    Raises:
        FeedError: nobody serves one there.
    """
    place, path = page_of(address)
    connection = http.client.HTTPConnection(place, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Accept": "text/plain"})
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FeedError(f"no metrics at {address}: {reason}; {_FORM}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise FeedError(f"no metrics at {address}: it answers {response.status}; {_FORM}")
    return body.decode("utf-8", "replace")


def read_page(text: str, at_s: float) -> Scraped:
    """Read a metrics page.

    Raises:
        FeedError: it is none, or not a Retempo daemon's.
    """
    look = Scraped(at_s)
    try:
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                _place(look, name, labels, value)
    except (ValueError, KeyError, IndexError) as error:
        raise FeedError(f"this is no metrics page: {error}; {_FORM}") from error
    if "retempo_uptime_seconds" not in look.numbers:
        raise FeedError(f"this is the metrics page of something else; {_FORM}")
    return look


def _place(look: Scraped, name: str, labels: Labels, value: float) -> None:
    short = name.removeprefix("retempo_stream_").removesuffix("_total")
    match name:
        case "retempo_model_info":
            look.model = labels
        case "retempo_build_info":
            look.version = labels.get("version", "")
        case "retempo_label_info":
            look.labels[int(labels["index"])] = labels["label"]
        case "retempo_events_total":
            look.fates[labels["fate"]] = value
        case "retempo_step_seconds_bucket":
            look.steps[float(labels["le"])] = value
        case "retempo_stream_step_seconds_bucket":
            look.stream_steps.setdefault(labels["stream"], {})[float(labels["le"])] = value
        case "retempo_stream_events_total":
            look.streams.setdefault(labels["stream"], {})[labels["fate"]] = value
        case _ if set(labels) == {"stream"}:
            look.streams.setdefault(labels["stream"], {})[short] = value
        case _ if not labels:
            look.numbers[name] = value


def compare(before: Scraped, now: Scraped) -> Overview:
    """Return what a daemon did between two looks; quantiles of steps are those in between.

    A stream that was not there before, and a daemon that was started anew, count from 0.
    """
    if now.numbers["retempo_uptime_seconds"] < before.numbers["retempo_uptime_seconds"]:
        before = Scraped(now.at_s - now.numbers["retempo_uptime_seconds"])
    span_s = max(now.at_s - before.at_s, 1e-9)
    rows = [
        _row(name, counts, before.streams.get(name, {}), span_s, now, before)
        for name, counts in now.streams.items()
    ]
    # Who is in trouble comes first, then who sends most.
    rows.sort(key=lambda row: (-row.behind_s, -row.events_per_s, row.stream))
    numbers = now.numbers
    return Overview(
        version=now.version,
        model=now.model.get("model", ""),
        engine=now.model.get("engine", ""),
        policy=now.model.get("policy", ""),
        uptime_s=numbers["retempo_uptime_seconds"],
        busy=numbers.get("retempo_busy_ratio", 0.0),
        age_s=numbers.get("retempo_snapshot_age_seconds", 0.0),
        unaccounted=int(numbers.get("retempo_unaccounted_events", 0)),
        whole=_whole(before, now, span_s, rows),
        streams=rows,
    )


def _row(
    name: str,
    counts: Mapping[str, float],
    earlier: Mapping[str, float],
    span_s: float,
    now: Scraped,
    before: Scraped,
) -> Row:
    if counts.get("received_events", 0) < earlier.get("received_events", 0):
        earlier = {}  # another run of the same name
    p50_s, p99_s = _quantiles(now.stream_steps.get(name, {}), before.stream_steps.get(name, {}))

    def rate(key: str) -> float:
        return (counts.get(key, 0) - earlier.get(key, 0)) / span_s

    def count(key: str) -> int:
        return int(counts.get(key, 0))

    return Row(
        stream=name,
        label=now.labels.get(count("label"), ""),
        events_per_s=rate("received_events"),
        decisions_per_s=rate("decisions"),
        dt_s=counts.get("dt_seconds", 0.0),
        behind_s=counts.get("behind_seconds", 0.0),
        queued=count("queue_messages"),
        shed=count("shed"),
        late=count("late"),
        invalid=count("invalid"),
        masked=count("masked"),
        lost=count("lost_events"),
        step_p50_s=p50_s,
        step_p99_s=p99_s,
    )


def _whole(before: Scraped, now: Scraped, span_s: float, rows: Sequence[Row]) -> Row:
    p50_s, p99_s = _quantiles(now.steps, before.steps)

    def rate(key: str) -> float:
        return (now.numbers.get(key, 0) - before.numbers.get(key, 0)) / span_s

    return Row(
        stream="",
        label="",
        events_per_s=rate("retempo_received_events_total"),
        decisions_per_s=rate("retempo_decisions_total"),
        dt_s=float(now.model.get("dt_us", 0)) / 1e6,
        behind_s=max((row.behind_s for row in rows), default=0.0),
        queued=sum(row.queued for row in rows),
        shed=int(now.fates.get("shed", 0)),
        late=int(now.fates.get("late", 0)),
        invalid=int(now.fates.get("invalid", 0)),
        masked=int(now.fates.get("masked", 0)),
        lost=int(now.numbers.get("retempo_lost_events_total", 0)),
        step_p50_s=p50_s,
        step_p99_s=p99_s,
    )


def _quantiles(
    now: Mapping[float, float], before: Mapping[float, float]
) -> tuple[float | None, float | None]:
    """Return p50 and p99 of what the buckets have gained."""
    bounds = sorted(now)
    if not bounds:
        return None, None
    gained = [now[bound] - before.get(bound, 0) for bound in bounds]
    if min(gained) < 0:
        gained = [now[bound] for bound in bounds]
    counts = [round(upper - lower) for lower, upper in zip([0.0, *gained], gained, strict=False)]
    finite = [bound for bound in bounds if math.isfinite(bound)]
    return quantile(finite, counts, 0.5), quantile(finite, counts, 0.99)
