"""Receive a daemon's decisions."""

import math
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
import zmq

from retempo.runtime.catch_up import CatchUp
from retempo.runtime.decision import Decision
from retempo.runtime.decisions_out import AGAIN, END, HELLO, MORE, stands_of
from retempo.runtime.endpoints import connect, find_the_dead
from retempo.runtime.errors import FeedError
from retempo.runtime.security.client import ClientKeys, client_security, why_silent
from retempo.runtime.security.monitors import has_message

_ASK = "is retempo serve running there, and does it publish its decisions there?"
_JSON = msgspec.json.Decoder(Decision)
_MSGPACK = msgspec.msgpack.Decoder(Decision)


class Decisions:
    """The decisions of some streams, or of all; an iterator and a context manager.

    Once it is made, no decision that the daemon then publishes is missed for want of a
    subscription. Each is handed on once, a stream's in their order. What the connection or a full
    queue lost is asked for again, also when the connection, or the daemon, comes back; `missed`
    counts, a stream, the decisions that the daemon no longer had; of a stream that began while
    there was no connection it counts from the first that the daemon still had.

    Args:
        endpoint: the daemon's decisions, `tcp://127.0.0.1:7711`.
        streams: names; none stands for every stream.
        timeout_s: how long to wait for the daemon at the start, and, iterating, for each decision;
            None waits for ever.
        after: the epoch and the sequence of the decision of a stream that was received last, by
            an earlier subscriber; what followed it comes first.
        keys: this client's and the daemon's; None listens in clear.

    Raises:
        FeedError: no daemon answers in time, or the endpoint is malformed.
    """

    def __init__(
        self,
        endpoint: str,
        streams: Sequence[str] = (),
        timeout_s: float | None = None,
        after: Mapping[str, tuple[int, int]] | None = None,
        keys: ClientKeys | None = None,
    ) -> None:
        self._catch_up = CatchUp(after or {})
        self._hello, self._ready = b"", False
        self._asked: frozenset[bytes] = frozenset()
        self._last = dict(after or {})
        self._due: deque[Decision] = deque()
        self._endpoint = endpoint
        self._streams = frozenset(streams)
        self._timeout_s = timeout_s
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        find_the_dead(self._socket)
        self._handshakes = client_security(self._socket, keys)
        self._monitor = self._handshakes.monitor.socket
        self._poller = zmq.Poller()
        for sock in (self._socket, self._monitor):
            self._poller.register(sock, zmq.POLLIN)
        try:
            self._subscribe()
        except BaseException:
            self.close()
            raise

    @property
    def missed(self) -> dict[str, int]:
        """Decisions that could not be had, a stream."""
        return {stream: order.missed for stream, order in self._catch_up.orders.items()}

    @property
    def last(self) -> dict[str, tuple[int, int]]:
        """The epoch and the sequence of the last decision handed on, a stream; see `after`."""
        return dict(self._last)

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
        """Close the connection."""
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def __iter__(self) -> Iterator[Decision]:
        """Yield decisions as they come.

        Raises:
            FeedError: none came within `timeout_s`.
        """
        while True:
            decision = self.receive(self._timeout_s)
            if decision is None:
                raise FeedError(f"no decision from {self._endpoint} within {self._timeout_s} s")
            yield decision

    def receive(self, timeout_s: float | None = None) -> Decision | None:
        """Return the next decision, or None if none comes in time.

        Raises:
            FeedError: what came is no decision.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._due:
            frames = self._next_frames(deadline_s)
            if frames is not None:
                self._take(*frames)
                self._subscribe_to_answers()
            if frames is None and deadline_s is not None and time.monotonic() >= deadline_s:
                break
        if not self._due:
            return None
        decision = self._due.popleft()
        self._last[decision.stream] = (decision.epoch, decision.sequence)
        return decision

    def _next_frames(self, deadline_s: float | None) -> tuple[bytes, bytes] | None:
        """Return the topic and the body of the next message, None where there is none in time."""
        if has_message(self._monitor) and self._handshakes.take() & zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._ask_anew()
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            due = self._catch_up.look(time.monotonic())
            self._subscribe_to_answers()
            if due:
                self._due += due
                return None
        else:
            return frames[0], frames[-1]
        ends_s = [end_s for end_s in (deadline_s, self._catch_up.due_s) if end_s is not None]
        left_ms = None
        if ends_s:
            left_ms = max(0, math.ceil((min(ends_s) - time.monotonic()) * 1e3))
        ready = dict(self._poller.poll(left_ms))
        if self._monitor in ready or self._socket not in ready:
            return None
        frames = self._socket.recv_multipart()
        return frames[0], frames[-1]

    def _ask_anew(self) -> None:
        """Ask, on a new connection, for what was missed without one."""
        if self._hello:
            self._socket.unsubscribe(self._hello)
        self._hello = HELLO + secrets.token_bytes(8)
        self._socket.subscribe(self._hello)
        self._catch_up.ask_all(time.monotonic())
        self._subscribe_to_answers()

    def _take(self, topic: bytes, body: bytes) -> None:
        now_s = time.monotonic()
        if topic.startswith(HELLO):
            if topic == self._hello:
                self._greeted(body, now_s)
            return
        if topic.startswith(AGAIN):
            if topic not in self._asked:
                return  # it is somebody else's
            if body.startswith((END, MORE)):
                self._due += self._catch_up.end_answer(topic, body, now_s)
            else:
                self._catch_up.take_answer(topic, self._decode(body), now_s)
            return
        decision = self._decode(body)
        if self._wants(decision.stream):
            self._due += self._catch_up.take(decision, now_s)

    def _greeted(self, body: bytes, now_s: float) -> None:
        self._socket.unsubscribe(self._hello)
        self._hello, self._ready = b"", True
        stands = stands_of(body)
        self._catch_up.stand((s for s in stands if self._wants(s.stream)), now_s)

    def _wants(self, stream: str) -> bool:
        # A topic is a prefix: cam1 brings cam10 with it.
        return not self._streams or stream in self._streams

    def _subscribe_to_answers(self) -> None:
        topics = self._catch_up.topics
        if topics == self._asked:
            return
        for topic in self._asked - topics:
            self._socket.unsubscribe(topic)
        for topic in topics - self._asked:
            self._socket.subscribe(topic)
        self._asked = topics

    def _subscribe(self) -> None:
        connect(self._socket, self._endpoint)
        for name in self._streams or ("",):
            self._socket.subscribe(name)
        deadline_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        # The handshake is what the daemon is greeted upon.
        while not self._ready:
            frames = self._next_frames(deadline_s)
            if frames is not None:
                self._take(*frames)
            elif deadline_s is not None and time.monotonic() >= deadline_s:
                raise FeedError(
                    f"no daemon answers at {self._endpoint} within {self._timeout_s} s; "
                    f"{why_silent(self._handshakes) or _ASK}"
                )
        self._subscribe_to_answers()

    def _decode(self, body: bytes) -> Decision:
        decoder = _JSON if body.startswith(b"{") else _MSGPACK
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FeedError(f"{self._endpoint} sent what is no decision: {error}") from error
