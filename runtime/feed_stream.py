"""What a daemon keeps of a stream while it is open, and of all streams together."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from retempo.runtime.clock_map import ClockMap
from retempo.runtime.counters import Counters
from retempo.runtime.feed import Inbox
from retempo.runtime.overload import Delay, Rung
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.security.door import DoorCounts
from retempo.runtime.sparse_bins import Block
from retempo.runtime.timings import Timings
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.pieces import CHANNEL_EVENT_BYTES, GRID_EVENT_BYTES
from retempo.sensors.wire_header import Buffer, glance


class Waiting(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A message that waits for its stream's turn; `ends` marks the last.

    `frames` are header and payload as they came, where they are to be recorded. `place` is the
    place behind it in its stream: from there its sender goes on after a restart.
    """

    chunk: EventChunk
    sequence: int
    arrived_us: float
    ends: bool = False
    frames: Sequence[Buffer] = ()
    place: Inbox | None = None


@dataclass(slots=True)
class FeedStream:
    """A stream that is open: whose it is, what decides it, how far it has come.

    `stepped` is the sequence of the last message stepped, `unanswered` counts those since the last
    credit that was delivered. `blocks` are those of `message` that are not stepped yet. `jumps` of
    its clock have been allowed for in `delay`.

    `owner` is the connection that feeds it, empty where it waits for its sender to come back, since
    `gone_us`. `durable` is the sequence up to which no restart undoes what is stepped, None where
    nothing is kept for a restart. `run` is the epoch that its decisions carry: the sender's own,
    unless what came before in that epoch is not in the state of this stream. `place` is the place
    behind the message that was stepped last, None where that is `inbox`.

    `wire_geometry` is the geometry as its sender writes it, None before its first message, and
    `event_bytes` what an event takes in a payload.
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
    timings: Timings = field(default_factory=Timings)
    gone_us: float | None = None
    durable: int | None = None
    run: int | None = None
    clock: ClockMap = field(default_factory=ClockMap)
    place: Inbox | None = None
    wire_geometry: msgspec.Raw | None = None
    event_bytes: int = 0

    def recognise(self, header: Buffer) -> None:
        """Know the geometry again by the header of a message that has been read and checked."""
        seen = glance(header)
        self.wire_geometry = None if seen is None else seen.geometry.copy()
        grid = isinstance(self.geometry, GridGeometry)
        self.event_bytes = GRID_EVENT_BYTES if grid else CHANNEL_EVENT_BYTES

    @property
    def decided_as(self) -> int:
        """The epoch of its decisions."""
        return self.epoch if self.run is None else self.run


@dataclass(slots=True)
class FeedReport:
    """What a daemon has done since it started; `counters` sums up those of all streams.

    `resumed` counts the streams that their senders came back to, `undelivered` the decisions that
    at least one subscriber had no room for, `door` who connected and who was refused. Of the models
    that were asked for, `swaps` were taken and `swap_refusals` could not be. `restored` streams
    came from a checkpoint; `checkpoints` were written, `checkpoint_failures` could not be.
    """

    streams: int = 0
    messages: int = 0
    malformed: int = 0
    refused: int = 0
    duplicates: int = 0
    missing: int = 0
    failed: int = 0
    unaccounted: int = 0
    resumed: int = 0
    undelivered: int = 0
    swaps: int = 0
    swap_refusals: int = 0
    restored: int = 0
    checkpoints: int = 0
    checkpoint_failures: int = 0
    counters: Counters = field(default_factory=Counters)
    door: DoorCounts = field(default_factory=DoorCounts)

    def close(self, stream: FeedStream) -> None:
        """Add up what became of a stream."""
        self.duplicates += stream.inbox.duplicates
        self.missing += stream.inbox.missing
        self.counters.add(stream.pipeline.counters)
