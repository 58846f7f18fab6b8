"""Publish a source to a daemon: at the sensor's own pace, or as fast as the daemon steps."""

import secrets
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import zmq

from retempo.runtime.endpoints import connect, wait
from retempo.runtime.errors import FeedError
from retempo.runtime.feed import (
    MAX_MESSAGE_BYTES,
    MAX_WINDOW,
    TIMEOUT_S,
    Credit,
    Ended,
    Refusal,
    Rejection,
    Reply,
    SendWindow,
    decode_reply,
)
from retempo.runtime.pacing import paced
from retempo.runtime.publish_report import PublishReport
from retempo.runtime.security.client import ClientKeys, client_security, why_silent
from retempo.runtime.slices import slices
from retempo.sensors.errors import SensorError, WireError
from retempo.sensors.events import EventChunk, LiveSource, Source, live_of
from retempo.sensors.pieces import no_events, split
from retempo.sensors.tally import Tallied
from retempo.sensors.wire import Cursor, Frames, encode_message
from retempo.sensors.wire_header import Kind

# Unpaced, silence is told in steps short enough for the daemon to answer between them.
UNPACED_SLICE_US = 50_000


def publish(
    source: Source,
    endpoint: str,
    *,
    stream: str | None = None,
    speed: float | None = None,
    timeout_s: float = TIMEOUT_S,
    keys: ClientKeys | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PublishReport:
    """Send a whole source to a daemon and wait until it has decided all of it.

    Args:
        source: what to send. A live source paces itself: leave `speed` at None.
        endpoint: the daemon's feed, `tcp://127.0.0.1:7710`.
        stream: the stream's name, the source's own if None.
        speed: how much faster than the sensor; 1 is its own pace, None as fast as possible.
        timeout_s: how long the daemon may be silent when it has something to answer.
        keys: this client's and the daemon's; None sends in clear.
        clock: seconds, for the pace.
        sleep: waits seconds, for the pace.

    Raises:
        FeedError: no daemon answers, it refuses the stream, or it goes away.
        SensorError: the source cannot be read to its end.
    """
    with Sender(endpoint, timeout_s, keys) as sender:
        return sender.publish(source, stream=stream, speed=speed, clock=clock, sleep=sleep)


class Sender:
    """A connection to a daemon, for one stream after the other. A context manager.

    Raises:
        FeedError: the endpoint is malformed.
    """

    def __init__(
        self, endpoint: str, timeout_s: float = TIMEOUT_S, keys: ClientKeys | None = None
    ) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._heard_s = time.monotonic()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        # The window is the bound; a lower mark would block where no time limit is watched.
        self._socket.set(zmq.SNDHWM, MAX_WINDOW + 2)
        # An aborted stream must not keep its process alive: what counts has been acknowledged.
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._handshakes = client_security(self._socket, keys)
        try:
            connect(self._socket, endpoint)
        except FeedError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a stream that has not ended is ended by the daemon."""
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def publish(
        self,
        source: Source,
        *,
        stream: str | None = None,
        speed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> PublishReport:
        """As the function `publish`, over this connection; a live source is closed behind it."""
        live = live_of(source)
        try:
            return self._publish(source, live, stream, speed, clock, sleep)
        finally:
            if live is not None:
                live.close()

    def _publish(
        self,
        source: Source,
        live: LiveSource | None,
        stream: str | None,
        speed: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> PublishReport:
        if speed is not None and not 0 < speed < float("inf"):
            raise FeedError(f"the speed is a positive number, or max; got {speed:g}")
        if live is not None and speed is not None:
            raise FeedError(
                f"{source.name} is live and has a pace of its own, got the speed {speed:g}; "
                "leave it out"
            )
        at = Cursor(
            stream or source.name,
            source.geometry,
            secrets.randbits(61),
            clock="sensor" if live is None else live.clock,
        )
        window = SendWindow()
        self._open(at, window)
        began_s, t_end_us = clock(), 0
        chunks: Iterator[EventChunk]
        # The wire carries no counts but `lost`.
        tallied = Tallied(source)
        if speed is None:
            chunks = (due.chunk for due in slices(tallied, UNPACED_SLICE_US))
        else:
            chunks = paced(tallied, speed, clock=clock, sleep=sleep)
        try:
            for chunk in chunks:
                for piece in split(chunk):
                    self._send_piece(piece, at, window)
                    at = at.after(piece)
                t_end_us = chunk.t_end_us
        except SensorError:
            # What has been sent is decided to its end; why there is no more is for the caller.
            self._end(t_end_us, at, window)
            raise
        counters = self._end(t_end_us, at, window)
        return PublishReport(
            counters=counters,
            messages=at.sequence,
            events=at.sent,
            seconds=clock() - began_s,
            removed=tallied.removed,
            lost=at.lost,
            problems=tallied.problems,
        )

    def _open(self, at: Cursor, window: SendWindow) -> None:
        self._heard_s = time.monotonic()
        self._send(_encoded("open", no_events(at.geometry, 0), at), at)
        while not window.room:
            self._await_reply(at, window, f"no daemon answers at {self._endpoint}")

    def _send_piece(self, piece: EventChunk, at: Cursor, window: SendWindow) -> None:
        while wait(self._socket, 0):
            self._take_reply(at, window)
        while not window.room:
            self._await_reply(at, window, self._stuck(at, window))
        if time.monotonic() - self._heard_s > self._timeout_s and window.in_flight:
            # A paced sender may never run out of credit, and yet be talking to nobody.
            self._await_reply(at, window, self._stuck(at, window))
        frames = _encoded("events", piece, at)
        window.send()
        self._send(frames, at)

    def _end(self, t_end_us: int, at: Cursor, window: SendWindow) -> dict[str, int]:
        self._send(_encoded("end", no_events(at.geometry, t_end_us), at), at)
        while True:
            reply = self._await_reply(at, window, self._stuck(at, window))
            if isinstance(reply, Ended):
                return reply.counters

    def _send(self, frames: Frames, at: Cursor) -> None:
        try:
            self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
        except zmq.Again as error:
            raise FeedError(
                f"{self._endpoint} takes no more of the stream {at.stream!r}"
            ) from error

    def _await_reply(self, at: Cursor, window: SendWindow, lead: str) -> Reply | None:
        """Take the next reply, or give up once the daemon has been silent for too long."""
        silent_s = time.monotonic() - self._heard_s
        # After this process was stopped, replies that lie in the kernel still need a moment.
        wait_s = max(self._timeout_s - silent_s, min(self._timeout_s, 0.5))
        if not wait(self._socket, wait_s):
            why = why_silent(self._handshakes)
            asked = "is retempo serve running there, and is the endpoint its feed?"
            raise FeedError(f"{lead} within {self._timeout_s:g} s; {why or asked}")
        return self._take_reply(at, window)

    def _take_reply(self, at: Cursor, window: SendWindow) -> Reply | None:
        """Act on one reply; returns None where it speaks of an earlier stream."""
        reply = decode_reply(self._socket.recv_multipart()[0], self._endpoint)
        self._heard_s = time.monotonic()
        if isinstance(reply, Rejection):
            raise FeedError(f"the daemon at {self._endpoint} dropped a message: {reply.reason}")
        if (reply.stream, reply.epoch) != (at.stream, at.epoch):
            return None
        if isinstance(reply, Refusal):
            raise FeedError(
                f"the daemon at {self._endpoint} refuses the stream {at.stream!r}: {reply.reason}"
            )
        if isinstance(reply, Credit):
            window.acknowledge(reply)
        return reply

    def _stuck(self, at: Cursor, window: SendWindow) -> str:
        stepped = window.acknowledged + 1
        return (
            f"the daemon at {self._endpoint} went silent after {stepped} of the "
            f"{window.next_sequence} messages of {at.stream!r}: no answer"
        )


def _encoded(kind: Kind, piece: EventChunk, at: Cursor) -> Frames:
    try:
        return encode_message(kind, piece, at)
    except WireError as error:
        raise FeedError(f"the stream {at.stream!r} cannot be sent: {error}") from error
