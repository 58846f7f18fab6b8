"""Numbers that parts of the daemon offer to whoever watches it, by name.

A part registers once, when it is made; its function is called in the daemon's loop when somebody
looks, and at no other time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

GaugeKind = Literal["gauge", "counter"]

_NAME = re.compile(r"retempo_[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number: a counter only grows and its name ends in `_total`."""

    name: str
    about: str
    kind: GaugeKind
    read: Callable[[], float]


@dataclass(slots=True)
class Gauges:
    """What has been registered, in its order."""

    _known: dict[str, Gauge] = field(default_factory=dict)

    def add(
        self, name: str, about: str, read: Callable[[], float], kind: GaugeKind = "gauge"
    ) -> None:
        """Register a number.

        Args:
            name: `retempo_checkpoint_age_seconds`: lower case, in base units.
            about: one sentence for who sees it on a dashboard.
            read: returns it, quickly and without waiting; called in the daemon's loop.
            kind: whether it only grows.

        Raises:
            ValueError: the name is malformed or taken.
        """
        if not _NAME.fullmatch(name) or (kind == "counter") != name.endswith("_total"):
            raise ValueError(
                f"a metric is called retempo_..., a counter retempo_..._total, got {name!r}"
            )
        if name in self._known:
            raise ValueError(f"the metric {name!r} is registered already; register it once")
        self._known[name] = Gauge(name, about, kind, read)

    def read(self) -> tuple[tuple[Gauge, float], ...]:
        """Return every number; one that cannot be read is not a number, and fails nobody."""
        return tuple((gauge, _value(gauge)) for gauge in self._known.values())


def _value(gauge: Gauge) -> float:
    try:
        return float(gauge.read())
    except Exception:  # noqa: BLE001  (who watches must not take down what is watched)
        return float("nan")
