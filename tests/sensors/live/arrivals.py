"""Arrivals, and a device that plays them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from retempo.sensors.columns import Columns, no_events
from retempo.sensors.events import Clock
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.live.device import Arrival

GRID = GridGeometry(34, 34)


def events(*t_us: int) -> Columns:
    """Events at these times, at addresses that tell them apart."""
    place = np.arange(len(t_us), dtype=np.uint16) % 34
    return Columns(np.array(t_us, np.int64), place, place[::-1].copy(), place % 2 == 0)


def silence(now_us: float, reached_us: int | None = None) -> Arrival:
    return Arrival(no_events(), now_us, reached_us=reached_us)


def came(now_us: float, *t_us: int, lost: int = 0, fresh: bool = False) -> Arrival:
    return Arrival(events(*t_us), now_us, came_us=now_us, lost=lost, fresh=fresh)


class Played:
    """A device that gives arrivals one after the other, then the last one or an error."""

    name = "played"
    about = "a device of a test"
    geometry = GRID
    clock: Clock = "sensor"
    foresees = True

    def __init__(
        self,
        arrivals: Sequence[Arrival],
        error: Exception | None = None,
        waits: Callable[[int], object] = id,
    ) -> None:
        self._arrivals: Iterator[Arrival] = iter(arrivals)
        self._error = error
        self._waits = waits
        self.reads = 0
        self.closed = 0

    def read(self, timeout_s: float) -> Arrival:
        del timeout_s
        self._waits(self.reads)
        self.reads += 1
        for arrival in self._arrivals:
            return arrival
        if self._error is not None:
            raise self._error
        return Arrival(no_events(), 0.0, last=True)

    def close(self) -> None:
        self.closed += 1
