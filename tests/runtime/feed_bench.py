"""A feed server without sockets, with a clock by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO

import msgspec

from retempo.runtime.decision import Decision
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Credit, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.replies import Delivery
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, Frames, encode_message
from retempo.sensors.wire_header import Buffer, Kind
from tests.runtime.stand_in import GRID, deployment

ME, OTHER = b"me", b"other"


@dataclass
class Bench:
    """A server, and what came out of it."""

    now_us: float = 0.0
    replies: list[tuple[bytes, Reply]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    delivery: dict[bytes, Delivery] = field(default_factory=dict)
    log: StringIO = field(default_factory=StringIO)

    def __post_init__(self) -> None:
        log = EventLog(out=self.log, interval_s=0.0)
        self.server = FeedServer(
            deployment(lambda: self.now_us), self.send, self.decisions.append, log, window=8
        )

    def receive(self, owner: bytes, frames: Sequence[Buffer]) -> None:
        """Hand in a message and step all that it brings."""
        self.server.receive(owner, frames)
        while self.server.rest_us() is not None:
            self.server.turn()
            self.server.sweep()

    def send(self, owner: bytes, reply: Reply) -> Delivery:
        self.replies.append((owner, reply))
        return self.delivery.get(owner, "sent")

    def take(self) -> list[tuple[bytes, Reply]]:
        taken, self.replies[:] = list(self.replies), []
        return taken

    def logged(self) -> list[str]:
        return [msgspec.json.decode(line)["event"] for line in self.log.getvalue().splitlines()]


def control(kind: Kind, at: Cursor, t_end_us: int = 0) -> Frames:
    return encode_message(kind, no_events(at.geometry, t_end_us), at)


def opened(stream: str = "a", owner: bytes = ME, epoch: int = 1) -> tuple[Bench, Cursor]:
    bench, at = Bench(), Cursor(stream, GRID, epoch)
    bench.receive(owner, control("open", at))
    assert bench.take() == [(owner, Credit(1, stream, epoch, -1, 8))]
    return bench, at
