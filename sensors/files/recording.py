"""A recorded file as a source of chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retempo.sensors.columns import AnyColumns
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.events import EventChunk
from retempo.sensors.files.chunking import chunk_any_order, chunk_forward
from retempo.sensors.files.format import Opened
from retempo.sensors.files.policy import under_policy
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import Policy


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded file: a source that starts from the first event at each iteration.

    Chunks hold at most `chunk_events` events in the order of the file. What is wrong with the file
    follows `policy`: `raise` ends with an error behind the last good event, `stop` ends there
    without one, `skip` leaves out what is bad; the chunks carry the counts, and every event lies
    within the geometry. A recording without events yields no chunk, unless it has problems to
    tell. Memory is bounded whatever the size of the file. The watermark of a chunk is honest for
    the formats that somebody may have written in any order (N-MNIST, NumPy, CSV, DAT); for the
    others it is the last event's time.

    Iterating raises:
        RecordingError: the file is damaged further on, or gone.
    """

    path: Path
    format: str
    opened: Opened = field(repr=False)
    policy: Policy = "raise"
    chunk_events: int = 65_536
    part: str = ""

    @property
    def name(self) -> str:
        """The file's name and its part, if any; the chunks carry it as their stream."""
        return f"{self.path.name}#{self.part}" if self.part else self.path.name

    @property
    def geometry(self) -> Geometry:
        """The sensor that the caller claimed, else the file's own, else the format's."""
        return self.opened.geometry

    @property
    def heard_by(self) -> EarSpec | None:
        """The ear that hears the file, None where it holds events."""
        return self.opened.heard_by

    def __iter__(self) -> Iterator[EventChunk]:
        if self.opened.may_go_back:
            return chunk_any_order(self._decode, self.chunk_events, self.name)
        return chunk_forward(self._decode(), self.chunk_events, self.name)

    def _decode(self) -> Iterator[AnyColumns]:
        return under_policy(self.opened.decode(), self.geometry, self.policy, self.path)
