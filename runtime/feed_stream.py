"""What a daemon keeps of a stream while it is open, and of all streams together."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from retempo.runtime.counters import Counters
from retempo.runtime.feed import Inbox
from retempo.runtime.overload import Delay, Rung
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.sparse_bins import Block
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.wire_header import Buffer


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A message that waits for its stream's turn; `ends` marks the last.

    `frames` are header and payload as they came, where they are to be recorded.
    """

    chunk: EventChunk
    sequence: int
    arrived_us: float
    ends: bool = False
    frames: Sequence[Buffer] = ()


@dataclass(slots=True)
class FeedStream:
    """A stream that is open: whose it is, what decides it, how far it has come.

    `stepped` is the sequence of the last message stepped, `unanswered` counts those since the last
    credit that was delivered. `blocks` are those of `message` that are not stepped yet. `jumps` of
    its clock have been allowed for in `delay`.
    """

    name: str
    epoch: int
    owner: bytes
    geometry: Geometry
    pipeline: Pipeline
    inbox: Inbox
    stepped: int
    unanswered: int = 0
    waiting: deque[Waiting] = field(default_factory=deque)
    message: Waiting | None = None
    blocks: Iterator[Block] | None = None
    delay: Delay = field(default_factory=Delay)
    rung: Rung = field(default_factory=Rung)
    jumps: int = 0


@dataclass(slots=True)
class FeedReport:
    """What a daemon has done since it started; `counters` sums up those of all streams."""

    streams: int = 0
    messages: int = 0
    malformed: int = 0
    refused: int = 0
    duplicates: int = 0
    missing: int = 0
    failed: int = 0
    unaccounted: int = 0
    counters: Counters = field(default_factory=Counters)

    def close(self, stream: FeedStream) -> None:
        """Add up what became of a stream."""
        self.duplicates += stream.inbox.duplicates
        self.missing += stream.inbox.missing
        for count in fields(Counters):
            whole, part = self.counters, stream.pipeline.counters
            setattr(whole, count.name, getattr(whole, count.name) + getattr(part, count.name))
