"""The daemon: one thread, one loop, events in, decisions out."""

import math
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import msgspec
import zmq

from retempo.runtime.decision_history import HISTORY_BYTES, DecisionHistory
from retempo.runtime.decisions_out import (
    ENCODERS,
    DecisionsOut,
    Format,
    decisions_socket,
)
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CounterError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import (
    GRACE_US,
    KEEPALIVE_S,
    MAX_MESSAGE_BYTES,
    WINDOW,
    Reply,
    encode_reply,
)
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.feed_stream import FeedReport
from retempo.runtime.recorder import Recorder
from retempo.runtime.replies import Delivery
from retempo.runtime.security.door import Door
from retempo.runtime.security.settings import Security

# Messages taken at least before streams are stepped and the loop looks at subscribers again, and
# how many a stream: more than a turn steps, or what waits would wait in the socket, where no
# overload policy sees it.
_BATCH, _BATCH_A_STREAM = 16, 2
# A frame of no more bytes is copied: that is as fast as to look at it where it is, and `bytes` are
# what a message is taken from in one call.
COPIED_BYTES = 32_768


class Chore(Protocol):
    """Something that the loop sees to besides the feed: metrics, checkpoints, the watchdog."""

    @property
    def sources(self) -> Sequence[Any]:
        """The sockets and file descriptors that wake the loop for it."""
        ...

    def tick(self) -> None:
        """Do what is due; called in every pass of the loop, at least each `KEEPALIVE_S`."""
        ...

    def close(self) -> None:
        """Do what is due at the end, when every stream has been finished."""
        ...


@runtime_checkable
class HearsStop(Protocol):
    """A chore that wants to know when the daemon stops, before its streams are finished."""

    def stopping(self) -> None:
        """The loop has ended; the open streams are finished next."""
        ...


class Stop:
    """A request to stop that wakes the loop from its poll, from a signal or another thread."""

    def __init__(self) -> None:
        self.requested = False
        self.waker, self._wake = socket.socketpair()
        for end in (self.waker, self._wake):
            end.setblocking(False)

    def request(self) -> None:
        """Ask the loop to stop; may be called from anywhere, any number of times."""
        self.requested = True
        with suppress(BlockingIOError):
            self._wake.send(b"\0")

    def close(self) -> None:
        """Close both ends of the waker."""
        self.waker.close()
        self._wake.close()


def announce_ready(feed: str, decisions: str) -> None:
    """Print the bound endpoints as one JSON line, for whoever started the daemon."""
    line = msgspec.json.encode({"ready": True, "feed": feed, "decisions": decisions})
    sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


def run_daemon(
    deployment: Deployment,
    feed_endpoint: str,
    decisions_endpoint: str,
    *,
    window: int = WINDOW,
    grace_us: int = GRACE_US,
    decisions_format: Format = "json",
    history_bytes: int = HISTORY_BYTES,
    security: Security | None = None,
    chores: Sequence[Callable[[FeedServer], Chore]] = (),
    announce: Callable[[str, str], None] = announce_ready,
    stop: Stop | None = None,
    log: EventLog | None = None,
    recorder: Recorder | None = None,
) -> FeedReport:
    """Serve a deployment until SIGINT, SIGTERM or `stop`, then finish every stream and return.

    The first signal stops the reading; the streams that are open are finished, their final
    decisions published, the totals logged. A second signal ends the process at once.

    Args:
        deployment: the model and how its streams are read.
        feed_endpoint: where events come in; `tcp://127.0.0.1:*` takes a free port.
        decisions_endpoint: where decisions go out.
        window: events messages that a sender may have on the way, a stream.
        grace_us: how long the stream of a sender that is gone is kept for it.
        decisions_format: of the decisions' bodies.
        history_bytes: of the latest decisions, for subscribers that missed some.
        security: who may connect; anybody on this machine if None.
        chores: what else the loop sees to; each is made with the server, before it is announced.
        announce: told the two endpoints as bound, once the daemon is ready.
        stop: stops the daemon from another thread; the caller closes it.
        log: standard error if None.
        recorder: told what is done to streams, see `runtime.journal`.

    Raises:
        FeedError: an endpoint cannot be bound.
        SecurityError: an endpoint would serve the network in clear.
        CounterError: at the end, if a stream broke the sum rule.
    """
    log = EventLog() if log is None else log
    with ExitStack() as stack:
        if stop is None:
            stop = Stop()
            stack.callback(stop.close)
        context = zmq.Context()
        stack.callback(context.term)
        feed = stack.enter_context(_feed_socket(context))
        decisions = stack.enter_context(decisions_socket(context))
        door = Door(context, security or Security(), log)
        stack.callback(door.release)
        bound = door.bind(feed, feed_endpoint, "[feed] bind")
        bound_out = door.bind(decisions, decisions_endpoint, "[decisions] bind")
        history = DecisionHistory(history_bytes)
        out = DecisionsOut(decisions, ENCODERS[decisions_format], history)
        server = FeedServer(
            deployment,
            send=partial(_send_reply, feed),
            publish=out.publish,
            log=log,
            window=window,
            grace_us=grace_us,
            history=history,
            recorder=recorder,
        )
        out.report = server.report
        server.gauges.add(
            "retempo_subscriber_overflows_total",
            "Times that a subscriber read too slowly and missed decisions; the others got them.",
            lambda: server.report.undelivered,
            "counter",
        )
        stack.enter_context(_signals(stop))
        log.info("engine", name=deployment.engine.name, why=deployment.engine.why)
        server.report.door = door.counts
        seen_to: list[Chore] = [door, *(make(server) for make in chores)]
        announce(bound, bound_out)
        _loop(server, feed, out, stop, door, seen_to)
        for chore in seen_to:
            if isinstance(chore, HearsStop):
                chore.stopping()
        server.close()
        for chore in reversed(seen_to):
            chore.close()
        report = server.report
        log.info("totals", **msgspec.to_builtins(report))
        if report.unaccounted:
            raise CounterError(
                f"{report.unaccounted} of {report.streams} streams broke the sum rule; the log "
                "names them; please report this"
            )
        return report


def _loop(
    server: FeedServer,
    feed: "zmq.Socket[bytes]",
    decisions: DecisionsOut,
    stop: Stop,
    door: Door,
    chores: Sequence[Chore],
) -> None:
    poller = zmq.Poller()
    for source in (
        feed,
        decisions.sock,
        stop.waker,
        *(s for chore in chores for s in chore.sources),
    ):
        poller.register(source, zmq.POLLIN)
    while not stop.requested:
        # While a stream has something to step, the sockets are looked at in passing.
        idle = server.rest_us() is None
        rest_ms = math.ceil(min(KEEPALIVE_S * 1e6, server.owes_in_us()) / 1e3) if idle else 0
        ready = dict(poller.poll(rest_ms))
        if decisions.sock in ready:
            decisions.answer()
        if feed in ready:
            _take_batch(server, feed, stop, door)
        if server.rest_us() == 0.0:
            server.turn()
        server.acknowledge()
        server.sweep()
        for chore in chores:
            chore.tick()


def _take_batch(server: FeedServer, feed: "zmq.Socket[bytes]", stop: Stop, door: Door) -> None:
    for _ in range(max(_BATCH, _BATCH_A_STREAM * len(server.streams))):
        if stop.requested:
            return
        try:
            owner = feed.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        frames: list[bytes | memoryview] = []
        admitted = more = True
        while more:  # a frame says whether another follows; to ask the socket takes as long again
            frame = feed.recv(copy=False)
            more = frame.more
            # What has too many frames is malformed whatever they hold: they need not be kept.
            if len(frames) < 3:
                frames.append(frame.bytes if len(frame) <= COPIED_BYTES else frame.buffer)
            admitted = admitted and door.admits(frame)
        if admitted:
            server.receive(owner, frames)


def _feed_socket(context: "zmq.Context[Any]") -> "zmq.Socket[bytes]":
    sock: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    # Otherwise a reply to a sender that is gone vanishes, and nobody learns that it is gone.
    sock.set(zmq.ROUTER_MANDATORY, 1)
    # Beyond this a sender that ignores its window waits in its own TCP buffer.
    sock.set(zmq.RCVHWM, WINDOW)
    sock.set(zmq.SNDHWM, 1_000)
    sock.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    sock.set(zmq.LINGER, 1_000)
    return sock


def _send_reply(feed: "zmq.Socket[bytes]", owner: bytes, reply: Reply) -> Delivery:
    try:
        feed.send_multipart([owner, encode_reply(reply)], flags=zmq.NOBLOCK)
    except zmq.Again:
        return "full"
    except zmq.ZMQError as error:
        if error.errno == zmq.EHOSTUNREACH:
            return "gone"
        raise
    return "sent"


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a request to stop, and let the second one kill."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = (signal.SIGINT, signal.SIGTERM)

    def request(_number: int, _frame: FrameType | None) -> None:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        stop.request()

    before = {number: signal.signal(number, request) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
