"""A daemon in a process of its own, a sender by hand, and what a plain replay makes of the same.

The sender speaks the feed message by message, so that a test can repeat, reorder and damage them.
"""

import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import zmq
from numpy.typing import NDArray

from retempo.demo.assets import MODEL
from retempo.runtime.config import load_config
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.feed import Credit, Ended, Refusal, Rejection, Reply, decode_reply
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import Addresses, EventChunk, Polarities
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message

COMMAND = [sys.executable, "-m", "retempo.cli"]
TIMEOUT_S = 60.0
GRID = GridGeometry(34, 34)

# What a decision is, whenever and by whichever process it was made.
Verdict = tuple[int, int, str, tuple[float, ...], int]


def verdict(decision: Decision) -> Verdict:
    """Return what must not depend on anything but the events."""
    scores = tuple(decision.scores)
    return decision.sequence, decision.t_us, decision.label, scores, decision.dt_us


def write_config(folder: Path, tables: str = "", model: Path = MODEL, dt: str = "1ms") -> Path:
    """Write a deployment on free ports; `tables` may say anything but feed and decisions."""
    path = folder / "serve.toml"
    path.write_text(
        f"""
        model = {json.dumps(str(model))}
        dt = "{dt}"
        [feed]
        bind = "tcp://127.0.0.1:*"
        [decisions]
        bind = "tcp://127.0.0.1:*"
        {tables}
        """
    )
    return path


class Daemon:
    """A running `retempo serve`."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.process = subprocess.Popen(
            [*COMMAND, "serve", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1].decode())
        ready = json.loads(line)
        self.feed: str = ready["feed"]
        self.decisions: str = ready["decisions"]

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> list[dict[str, object]]:
        """Signal it; returns its log. Whoever breaks the sum rule ends with another code than 0."""
        self.process.send_signal(kind)
        _, log = self.process.communicate(timeout=TIMEOUT_S)
        if kind is not signal.SIGKILL:
            assert self.process.returncode == 0, log.decode()
        return [json.loads(each) for each in log.splitlines()]

    def kill(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def serving(config: Path) -> Iterator[Daemon]:
    """Run a daemon for as long as a test needs it."""
    daemon = Daemon(config)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


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
    fates = ("binned", "late", "invalid", "masked", "shed")
    assert counters["received"] == sum(counters[fate] for fate in fates), counters
    return counters


def until_final(decisions: Decisions, stream: str = "hand") -> list[Decision]:
    """Return a stream's decisions up to its last."""
    found: list[Decision] = []
    while not found or not found[-1].final:
        decision = decisions.receive(TIMEOUT_S)
        assert decision is not None, f"no final decision of {stream}"
        if decision.stream == stream:
            found.append(decision)
    return found


def deployed(config: Path) -> Deployment:
    """Return the deployment that a daemon makes of a configuration."""
    return deployment_of(load_config(config, ServeConfig), config.parent)


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
