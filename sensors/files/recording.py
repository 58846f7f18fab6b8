"""A recorded file as a source of chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retempo.sensors.events import EventChunk
from retempo.sensors.files.chunking import chunk_stream, chunk_whole, join
from retempo.sensors.files.format import Opened
from retempo.sensors.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded file: a source that starts from the first event at each iteration.

    Chunks hold at most `chunk_events` events in the order of the file, and every event of it:
    those outside the geometry stay in place, for the binning to count as invalid. A recording
    without events yields no chunk. The watermark of a chunk is honest for the formats that are
    read whole (N-MNIST, NumPy, CSV, DAT) even where times go back; for the streamed ones (EVT2,
    EVT3, AEDAT 4, ES, sound) it is the last event's time.

    Iterating raises:
        RecordingError: the file is damaged further on, or gone.
    """

    path: Path
    format: str
    opened: Opened = field(repr=False)
    chunk_events: int = 65_536

    @property
    def name(self) -> str:
        """The file's name; the chunks carry it as their stream."""
        return self.path.name

    @property
    def geometry(self) -> Geometry:
        """The sensor that the caller claimed, else the file's own, else the format's."""
        return self.opened.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        pieces = self.opened.decode()
        if self.opened.whole:
            return chunk_whole(join(list(pieces)), self.chunk_events, self.name)
        return chunk_stream(pieces, self.chunk_events, self.name)
