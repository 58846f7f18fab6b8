"""A source that is counted while somebody else reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import total


@dataclass(slots=True)
class Tallied:
    """A source and what has been read of it so far; each iteration counts afresh.

    `t_first_us` and `t_last_us` are the earliest and the latest event's time, None without events.
    `lost`, `problems` and `removed` are the sums of those of the chunks.
    """

    source: Source
    events: int = 0
    t_first_us: int | None = None
    t_last_us: int | None = None
    lost: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        self.events, self.t_first_us, self.t_last_us, self.lost = 0, None, None, 0
        self.problems, self.removed = {}, {}
        for chunk in self.source:
            self._count(chunk)
            yield chunk

    def _count(self, chunk: EventChunk) -> None:
        self.events += len(chunk)
        self.lost += chunk.lost
        self.problems = total([self.problems, chunk.problems])
        self.removed = total([self.removed, chunk.removed])
        for time_us in (int(chunk.t_us.min()), int(chunk.t_us.max())) if len(chunk) else ():
            self.t_first_us = time_us if self.t_first_us is None else min(self.t_first_us, time_us)
            self.t_last_us = time_us if self.t_last_us is None else max(self.t_last_us, time_us)
