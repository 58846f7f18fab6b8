"""A stream put into time order, as far as a bounded window allows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk, Source, Times
from retempo.sensors.geometry import Geometry
from retempo.sensors.parts import joined, part


@dataclass(frozen=True, slots=True)
class Ordered:
    """A source whose events come in time order; those of one time keep theirs.

    An event may come up to `window_us` after a later one. Those of the last `window_us` are held
    in memory. How the source is cut into chunks changes nothing.

    Iterating raises:
        RecordingError: an event comes later than that; the text names the first.
    """

    source: Source
    window_us: int

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        held: EventChunk | None = None
        latest_us: int | None = None
        t_end_us: int | None = None
        for chunk in self.source:
            if len(chunk):
                latest_us = self._latest(chunk.t_us, latest_us)
            waiting = chunk if held is None else joined([held, chunk])
            waiting = part(waiting, np.argsort(waiting.t_us, kind="stable"))
            limit_us = latest_us - self.window_us if latest_us is not None else chunk.t_end_us
            # No event is to come before the limit, and no source goes back behind what it has told.
            t_end_us = limit_us if t_end_us is None else max(t_end_us, limit_us)
            ready = int(np.searchsorted(waiting.t_us, limit_us))
            held = replace(part(waiting, slice(ready, None)), lost=0, problems={}, removed={})
            yield replace(part(waiting, slice(0, ready)), t_end_us=min(t_end_us, chunk.t_end_us))
        if held is not None and len(held):
            yield held

    def _latest(self, t_us: Times, before_us: int | None) -> int:
        """The latest time so far."""
        first_us = int(t_us[0]) if before_us is None else before_us
        latest = np.maximum(np.maximum.accumulate(t_us), first_us)
        late = t_us < latest - self.window_us
        if late.any():
            at = int(late.argmax())
            raise RecordingError(
                f"the event at {int(t_us[at])} us lies {int(latest[at] - t_us[at])} us before one "
                f"ahead of it, at most {self.window_us} us are put in order; give a longer --sort"
            )
        return int(latest[-1])
