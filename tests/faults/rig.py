"""A sender by hand, and what a plain replay makes of the same.

The sender speaks the feed message by message, so that a test can repeat, reorder and damage them.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import zmq
from numpy.typing import NDArray

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.feed import Credit, Ended, Refusal, Rejection, Reply, decode_reply
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import Addresses, EventChunk, Polarities
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.daemons import TIMEOUT_S

GRID = GridGeometry(34, 34)

# What a decision is, whenever and by whichever process it was made.
Verdict = tuple[int, int, str, tuple[float, ...], int]


def verdict(decision: Decision) -> Verdict:
    """Return what must not depend on anything but the events."""
    scores = tuple(decision.scores)
    return decision.sequence, decision.t_us, decision.label, scores, decision.dt_us


@dataclass
class Hand:
    """A sender by hand, of one stream: every message is what the test makes of it."""

    endpoint: str
    stream: str = "hand"
    geometry: Geometry = GRID
    epoch: int = field(default_factory=lambda: secrets.randbits(61))
    at: Cursor = field(init=False)

    def __post_init__(self) -> None:
        self.at = Cursor(self.stream, self.geometry, self.epoch)
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.connect(self.endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._context.term()

    def open(self) -> Credit:
        """Open the stream where it stands."""
        self.raw(encode_message("open", no_events(self.geometry, 0), self.at))
        reply = self.reply()
        assert isinstance(reply, Credit), reply
        return reply

    def message(self, chunk: EventChunk) -> list[bytes | memoryview]:
        """Return the message of the next chunk and move behind it, without sending it."""
        frames = encode_message("events", chunk, self.at)
        self.at = self.at.after(chunk)
        return frames

    def send(self, chunk: EventChunk) -> None:
        """Send the next chunk."""
        self.raw(self.message(chunk))

    def raw(self, frames: Sequence[bytes | memoryview]) -> None:
        """Send any frames."""
        self._socket.send_multipart(frames)

    def reply(self, timeout_s: float = TIMEOUT_S) -> Reply:
        """Return the next reply."""
        assert self._socket.poll(int(timeout_s * 1e3)), "the daemon does not answer"
        return decode_reply(self._socket.recv(), self.endpoint)

    def await_sequence(self, sequence: int) -> Credit:
        """Wait until everything up to a message has been stepped."""
        while True:
            reply = self.reply()
            if isinstance(reply, Credit) and reply.acknowledged >= sequence:
                return reply
            assert not isinstance(reply, Refusal), reply.reason

    def await_rejection(self) -> Rejection:
        """Wait until a message has been dropped as malformed."""
        while not isinstance(reply := self.reply(), Rejection):
            assert isinstance(reply, Credit), reply
        return reply

    def end(self, t_end_us: int) -> dict[str, int]:
        """End the stream; returns its counters, which obey the sum rule."""
        self.raw(encode_message("end", no_events(self.geometry, t_end_us), self.at))
        while not isinstance(reply := self.reply(), Ended):
            assert not isinstance(reply, Refusal | Rejection), reply.reason
        return checked(reply.counters)


def checked(counters: dict[str, int]) -> dict[str, int]:
    """Return counters once they obey the sum rule."""
    assert counters["received"] == total_of(counters), counters
    return counters


def total_of(counters: Mapping[str, int]) -> int:
    """Return what the sum rule says was received."""
    return sum(counters[fate] for fate in ("binned", "late", "invalid", "masked", "shed"))


def until_final(decisions: Decisions, stream: str = "hand") -> list[Decision]:
    """Return a stream's decisions up to its last."""
    found: list[Decision] = []
    while not found or not found[-1].final:
        decision = decisions.receive(TIMEOUT_S)
        assert decision is not None, f"no final decision of {stream}"
        if decision.stream == stream:
            found.append(decision)
    return found


def replayed(
    deployment: Deployment,
    chunks: Iterable[EventChunk],
    stream: str = "hand",
    geometry: Geometry = GRID,
) -> tuple[list[Verdict], dict[str, int]]:
    """Return what a plain replay decides, and its counters."""
    pipeline = deployment.open(stream, geometry)
    made: list[Decision] = []
    for chunk in chunks:
        made += [each for each in pipeline.feed(chunk, 0.0) if each is not None]
    made += [each for each in pipeline.finish(0.0) if each is not None]
    return [verdict(each) for each in made], checked(pipeline.counters.as_dict())


def random_chunks(
    count: int, events: int, seed: int = 0, *, span_us: int = 5_000, grid: GridGeometry = GRID
) -> list[EventChunk]:
    """Return chunks of `span_us` each, one after the other, in order of time."""
    rng = np.random.default_rng(seed)
    chunks = []
    for k in range(count):
        t_us = np.sort(rng.integers(k * span_us, (k + 1) * span_us, events)).astype(np.int64)
        chunks.append(
            EventChunk(
                t_us,
                (k + 1) * span_us,
                x=rng.integers(0, grid.width, events).astype(np.uint16),
                y=rng.integers(0, grid.height, events).astype(np.uint16),
                on=rng.integers(0, 2, events).astype(np.bool_),
            )
        )
    return chunks


def columns(chunk: EventChunk) -> tuple[Addresses, Addresses, Polarities]:
    """Return `x`, `y` and `on` of a chunk of a grid."""
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    return chunk.x, chunk.y, chunk.on


def picked(chunk: EventChunk, which: NDArray[Any]) -> EventChunk:
    """Return some events of a chunk, by a mask or in an order."""
    x, y, on = columns(chunk)
    return replace(chunk, t_us=chunk.t_us[which], x=x[which], y=y[which], on=on[which])


def shifted(chunk: EventChunk, by_us: int) -> EventChunk:
    """Return a chunk at another time."""
    return replace(chunk, t_us=chunk.t_us + by_us, t_end_us=chunk.t_end_us + by_us)
