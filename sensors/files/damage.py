"""A source read as far as it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry


@dataclass(frozen=True, slots=True)
class UntilDamage:
    """A source that ends where reading it fails, and keeps the error in `errors`.

    For those who tell about a damaged recording. Where it fails before its first event there is
    nothing to tell.

    Iterating raises:
        RecordingError: reading fails before the first event.
    """

    source: Source
    errors: list[RecordingError] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        self.errors.clear()
        events = 0
        try:
            for chunk in self.source:
                events += len(chunk)
                yield chunk
        except RecordingError as error:
            if events == 0:
                raise
            self.errors.append(error)
