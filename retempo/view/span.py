"""A part of a recording's time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Span:
    """A source from one time to another, both counted from its first event, the end left out.

    Reading ends where the source's watermark says that nothing more can lie within.
    """

    source: Source
    from_us: int = 0
    to_us: int | None = None

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        origin: int | None = None
        for chunk in self.source:
            if len(chunk) == 0:
                yield chunk
                continue
            if origin is None:
                origin = int(chunk.t_us[0])
            begin, end = origin + self.from_us, None if self.to_us is None else origin + self.to_us
            yield _between(chunk, begin, end)
            if end is not None and chunk.t_end_us >= end:
                return


def _between(chunk: EventChunk, begin: int, end: int | None) -> EventChunk:
    inside = chunk.t_us >= begin
    if end is not None:
        inside &= chunk.t_us < end
    if inside.all():
        return chunk
    return replace(
        chunk,
        t_us=chunk.t_us[inside],
        x=None if chunk.x is None else chunk.x[inside],
        y=None if chunk.y is None else chunk.y[inside],
        on=None if chunk.on is None else chunk.on[inside],
        channel=None if chunk.channel is None else chunk.channel[inside],
    )
