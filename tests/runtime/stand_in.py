"""A deployment without a network, and a daemon that serves it, for tests of the transport."""

import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
import zmq

from retempo.runtime.clock import host_clock_us
from retempo.runtime.counters import Counters
from retempo.runtime.daemon import Stop, run_daemon
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import InputError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Reply, decode_reply
from retempo.runtime.feed_stream import FeedReport
from retempo.runtime.overload import Overload
from retempo.runtime.sparse_bins import Block, SparseBins
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry
from tests.daemons import Daemon, started

GRID = GridGeometry(8, 6, 2)
DT_US = 1_000
RECEIVE_S = 10.0
ReplyKind = TypeVar("ReplyKind", bound=Reply)
NOTHING: Any = np.zeros(0)


class CountingPipeline:
    """Decides each bin by its events: a bin's score is how many of them were on."""

    def __init__(self, stream: str) -> None:
        self.counters = Counters()
        self.removed: dict[str, int] = {}
        self.epoch = 0
        self._stream = stream
        self._sequence = 0
        self._next: int | None = None
        self._on: dict[int, float] = {}

    def feed(self, chunk: EventChunk, arrived_us: float) -> Iterator[Decision]:
        for block in self.take(chunk):
            yield from self.decide(block, NOTHING, 0.0, arrived_us)

    def finish(self, arrived_us: float) -> Iterator[Decision]:
        final = self.end(arrived_us)
        if final is not None:
            yield final

    def plain(self, *message: object) -> None:
        """Nothing is: each message is taken as a chunk."""

    def take(self, chunk: EventChunk) -> Iterator[Block]:
        if self._stream == "bad":
            raise ValueError("this stream is bad")
        assert chunk.x is not None
        assert chunk.y is not None
        assert chunk.on is not None
        self.counters.lost += chunk.lost
        self.counters.received += len(chunk)
        if self._next is None and len(chunk):
            self._next = int(chunk.t_us[0]) // DT_US
        for t_us, x, y, on in zip(chunk.t_us, chunk.x, chunk.y, chunk.on, strict=True):
            if x >= GRID.width or y >= GRID.height:
                self.counters.invalid += 1
            elif t_us // DT_US < self._next:
                self.counters.late += 1
            else:
                self.counters.binned += 1
                number = int(t_us // DT_US)
                self._on[number] = self._on.get(number, 0.0) + float(on)
        while self._next is not None and (self._next + 1) * DT_US <= chunk.t_end_us:
            yield Block(self._next, DT_US, SparseBins(NOTHING, NOTHING, NOTHING))
            if self._stream == "stuck":
                sys.stdout.write("stuck\n")
                sys.stdout.flush()
            while self._stream == "stuck":
                time.sleep(0.01)

    def told_us(self, t_us: int) -> int:
        return t_us

    def close(self) -> Iterator[Block]:
        return iter(())

    def decide(self, block: Block, y: Any, took_us: float, arrived_us: float) -> list[Decision]:
        del block, y, took_us
        return [self._close(arrived_us, final=False)]

    def end(self, arrived_us: float) -> Decision | None:
        return None if self._next is None else self._close(arrived_us, final=True)

    def _close(self, arrived_us: float, *, final: bool) -> Decision:
        assert self._next is not None
        on = self._on.pop(self._next, 0.0)
        self._next += 1
        self._sequence += 1
        self.counters.steps += 1
        return Decision(
            stream=self._stream,
            sequence=self._sequence - 1,
            t_us=self._next * DT_US,
            label="on" if on else "off",
            scores=[on],
            dt_us=DT_US,
            latency_us=host_clock_us() - arrived_us,
            step_us=0.0,
            counters=self.counters.as_dict(),
            final=final,
            epoch=self.epoch,
        )


class NoEngine:
    """What the log says of an engine."""

    name, why = "stand-in", "there is no network"


@dataclass
class CountingDeployment:
    """Opens counting pipelines for one grid."""

    clock_us: Any = host_clock_us
    opened: list[str] = field(default_factory=list)
    overload: Overload = field(default_factory=Overload)
    ladder: dict[int, Any] = field(default_factory=dict)
    batch: int = 1
    wait_us: int = 0
    engine: NoEngine = field(default_factory=NoEngine)

    def step(self, jobs: Any) -> list[tuple[Any, float]]:
        return [(NOTHING, 0.0)] * len(jobs)

    def open(self, stream: str, geometry: Geometry) -> CountingPipeline:
        if geometry != GRID:
            raise InputError(f"the stand-in expects {GRID}, {stream} is {geometry}")
        self.opened.append(stream)
        return CountingPipeline(stream)


def deployment(clock_us: Any = host_clock_us) -> Deployment:
    return cast(Deployment, CountingDeployment(clock_us))


@dataclass
class Recorded:
    """A source of given chunks."""

    name: str
    chunks: list[EventChunk]
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        return iter(self.chunks)


def events(
    times_us: "list[int] | np.ndarray[Any, Any]", t_end_us: int | None = None, seed: int = 0
) -> EventChunk:
    """Events at given times and random addresses of the stand-in's grid."""
    t_us = np.asarray(times_us, np.int64)
    rng = np.random.default_rng(seed)
    return EventChunk(
        t_us=t_us,
        t_end_us=int(t_us.max(initial=0)) if t_end_us is None else t_end_us,
        x=rng.integers(0, GRID.width, len(t_us)).astype(np.uint16),
        y=rng.integers(0, GRID.height, len(t_us)).astype(np.uint16),
        on=rng.random(len(t_us)) < 0.5,
    )


def decided(source: Recorded, stream: str) -> list[tuple[int, str, list[float]]]:
    """What the pipeline decides without any transport."""
    pipeline = CountingPipeline(stream)
    decisions = [d for chunk in source for d in pipeline.feed(chunk, 0.0)]
    return essence([*decisions, *pipeline.finish(0.0)])


def essence(decisions: list[Decision]) -> list[tuple[int, str, list[float]]]:
    return [(d.t_us, d.label, d.scores) for d in decisions]


@dataclass
class RunningDaemon:
    """A daemon in a thread of this process."""

    feed: str
    decisions: str
    log: StringIO
    reports: list[FeedReport]

    def events_logged(self) -> list[str]:
        return [msgspec.json.decode(line)["event"] for line in self.log.getvalue().splitlines()]


@contextmanager
def running_daemon(
    window: int = 64,
    served: Deployment | None = None,
    feed: str = "tcp://127.0.0.1:*",
    log: EventLog | None = None,
    **options: Any,
) -> Iterator[RunningDaemon]:
    """Serve the stand-in, or `served`, in a thread; on leaving, stop it and let its errors out."""
    bound: queue.Queue[tuple[str, str]] = queue.Queue()
    failures: list[BaseException] = []
    stop, out, reports = Stop(), StringIO(), list[FeedReport]()
    log = log or EventLog(interval_s=0.0)
    log.out = out

    def serve() -> None:
        try:
            reports.append(
                run_daemon(
                    served or deployment(),
                    feed,
                    "tcp://127.0.0.1:*",
                    window=window,
                    announce=lambda feed, decisions: bound.put((feed, decisions)),
                    stop=stop,
                    log=log,
                    **options,
                )
            )
        except BaseException as error:  # noqa: BLE001  (raised again in the test's own thread)
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield RunningDaemon(*bound.get(timeout=RECEIVE_S), out, reports)
    finally:
        stop.request()
        thread.join(RECEIVE_S)
        stop.close()
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def stand_in_process(*endpoints: str) -> AbstractContextManager[Daemon]:
    """Serve the stand-in in a process of its own."""
    return started("-m", "tests.runtime.stand_in", *endpoints)


class Peer:
    """A bare DEALER, for messages that no publisher of ours would send."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.RCVTIMEO, int(RECEIVE_S * 1e3))
        self.socket.connect(endpoint)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._context.term()

    def send(self, frames: Any) -> None:
        self.socket.send_multipart(frames)

    def receive(self) -> Reply:
        return decode_reply(self.socket.recv(), "the daemon")

    def receive_until(self, kind: type[ReplyKind]) -> ReplyKind:
        while True:
            reply = self.receive()
            if isinstance(reply, kind):
                return reply


if __name__ == "__main__":
    feed, decisions = sys.argv[1:] or ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    run_daemon(deployment(), feed, decisions)
