"""Rate cap: a bucket of tokens that fills in event time; an event without a token is removed.

    tokens <- min(rate window, tokens + rate (t - s)),    s the time reached;    s <- t
    keep where tokens >= 1;    tokens <- tokens - 1

It starts full; any span of event time of the length L lets `rate (L + window)` events pass at the
most. Nothing depends on the host's clock: a recording is thinned as its live stream is. An event
that goes back by no more than it takes to fill the bucket finds it as it is and moves no time; one
that goes back further (the clock was set back) moves the time reached there.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk, Times
from retempo.sensors.filters.kind import FilterKind, span_of
from retempo.sensors.filters.select import NEVER, Keep, removing
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry

# Tokens are counted in millionths of an event: a rate in events a second fills so many a us.
_EVENT = 1_000_000
_HIGHEST_HZ = 1_000_000_000
# So that rate times window, twice over, stays within 64 bits.
_LONGEST_US = 3_600_000_000


class Bucket(NamedTuple):
    """The time reached and the tokens, in millionths of an event; shape `(2,)`."""

    level: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RateCap:
    """At most `rate_hz` events a second over all addresses, bursts of `window_us` apart."""

    rate_hz: int
    window_us: int = 10_000

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= _HIGHEST_HZ:
            raise FilterError(f"a rate is 1 to {_HIGHEST_HZ} events a second, got {self.rate_hz}")
        if not 1 <= self.window_us <= _LONGEST_US:
            raise FilterError(f"a window is 1us to 3600s, got {self.window_us} us")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "rate-cap"

    @property
    def capacity(self) -> int:
        """What the bucket holds, in millionths of an event; one event at least."""
        return max(_EVENT, self.rate_hz * self.window_us)

    def geometry_after(self, geometry: Geometry) -> Geometry:
        """The same sensor, whatever it is."""
        return geometry

    def start(self, geometry: Geometry) -> Bucket:
        """A full bucket."""
        del geometry
        return Bucket(np.array([NEVER, self.capacity], np.int64))

    def apply(self, state: Bucket, chunk: EventChunk) -> tuple[Bucket, EventChunk]:
        """The next chunk, thinned where it exceeds the rate."""
        keep = np.empty(len(chunk), np.bool_)
        paid(chunk.t_us, self.rate_hz, self.capacity, state.level, keep)
        return state, removing(chunk, keep, self.name)


@njit(cache=True, nogil=True)
def paid(
    t_us: Times, rate_hz: int, capacity: int, level: NDArray[np.int64], keep: Keep
) -> None:  # pragma: no cover - compiled
    """Write to `keep` which events find a token, and to `level` what is left.

    Shapes: `t_us` and `keep` `(events,)`, `level` `(2,)`, see `Bucket`.
    """
    fill_us = np.uint64((capacity + rate_hz - 1) // rate_hz)
    reached, tokens = level[0], level[1]
    for i in range(len(t_us)):
        t = t_us[i]
        if t >= reached:
            # The distance of two 64-bit times needs 64 bits without a sign.
            passed = np.uint64(t) - np.uint64(reached)
            if passed >= fill_us:
                tokens = capacity
            else:
                tokens = min(capacity, tokens + np.int64(passed) * rate_hz)
            reached = t
        elif np.uint64(reached) - np.uint64(t) > fill_us:
            reached = t
        pays = tokens >= _EVENT
        keep[i] = pays
        tokens -= _EVENT * pays
    level[0], level[1] = reached, tokens


def paid_numpy(
    t_us: Times, rate_hz: int, capacity: int, level: NDArray[np.int64], keep: Keep
) -> None:
    """As `paid`, in plain Python integers: its twin in the tests."""
    fill_us = -(-capacity // rate_hz)
    reached, tokens = level.tolist()
    for i, t in enumerate(t_us.tolist()):
        if t >= reached:
            tokens = min(capacity, tokens + (t - reached) * rate_hz)
        if t >= reached or reached - t > fill_us:
            reached = t
        keep[i] = tokens >= _EVENT
        tokens -= _EVENT if keep[i] else 0
    level[:] = reached, tokens


class RateCapSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="rate-cap",
):
    """`rate_hz` events a second; `window` is how long a burst at that rate may be ahead of it."""

    rate_hz: float
    window: str = "10ms"

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        if not (math.isfinite(self.rate_hz) and self.rate_hz == int(self.rate_hz)):
            raise FilterError(f"a rate is a whole number of events a second, got {self.rate_hz:g}")
        return RateCap(int(self.rate_hz), span_of(self.window))


def _parse(argument: str) -> RateCapSettings:
    rate, _, window = argument.partition(",")
    try:
        rate_hz = float(rate)
    except ValueError as error:
        raise FilterError(f"a rate is a number of events a second, got {rate!r}") from error
    return (
        RateCapSettings(rate_hz=rate_hz, window=window)
        if window
        else RateCapSettings(rate_hz=rate_hz)
    )


KIND = FilterKind("rate-cap", "rate-cap=1e6", RateCapSettings, _parse)
