"""Receive a daemon's decisions."""

import math
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from retempo.runtime.decision import Decision
from retempo.runtime.decision_order import DecisionOrder
from retempo.runtime.decisions_out import (
    AGAIN,
    AGAIN_ID_BYTES,
    END,
    HELLO,
    MORE,
    After,
    again_topic,
)
from retempo.runtime.endpoints import connect
from retempo.runtime.errors import FeedError

# How long an answer may take before it is asked for again, or given up.
_ANSWER_S = 1.0
# Nothing follows the last decision of a burst that could tell that it was lost: so it is asked for.
_QUIET_S = 1.0
_JSON = msgspec.json.Decoder(Decision)
_MSGPACK = msgspec.msgpack.Decoder(Decision)


@dataclass(slots=True)
class _Answer:
    """What has come of an answer, and when the latest of it came."""

    stream: str
    latest_s: float
    decisions: list[Decision] = field(default_factory=list)


class Decisions:
    """The decisions of some streams, or of all; an iterator and a context manager.

    Once it is made, no decision that the daemon then publishes is missed for want of a
    subscription. Each is handed on once, a stream's in their order. What the connection or a full
    queue lost is asked for again, also when the connection, or the daemon, comes back; `missed`
    counts, a stream, the decisions that the daemon no longer had. Of a stream that it does not know
    yet it cannot tell.

    Args:
        endpoint: the daemon's decisions, `tcp://127.0.0.1:7711`.
        streams: names; none stands for every stream.
        timeout_s: how long to wait for the daemon at the start, and, iterating, for each decision;
            None waits for ever.
        after: the epoch and the sequence of the decision of a stream that was received last, by
            an earlier subscriber; what followed it comes first.

    Raises:
        FeedError: no daemon answers in time, or the endpoint is malformed.
    """

    def __init__(
        self,
        endpoint: str,
        streams: Sequence[str] = (),
        timeout_s: float | None = None,
        after: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._orders = {stream: DecisionOrder(last) for stream, last in (after or {}).items()}
        self._last = dict(after or {})
        self._answers: dict[bytes, _Answer] = {}
        self._lively: set[str] = set()
        self._latest_s = 0.0
        self._due: deque[Decision] = deque()
        self._endpoint = endpoint
        self._streams = frozenset(streams)
        self._timeout_s = timeout_s
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        # A daemon whose machine lost power never closes its connection.
        self._socket.set(zmq.HEARTBEAT_IVL, 2_000)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, 10_000)
        self._monitor: zmq.Socket[Any] = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED
        )
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
        return {stream: order.missed for stream, order in self._orders.items()}

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
        self._socket.disable_monitor()
        self._socket.close()
        self._monitor.close()
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
            self._look_after_answers()
            if frames is None and deadline_s is not None and time.monotonic() >= deadline_s:
                break
        if not self._due:
            return None
        decision = self._due.popleft()
        self._last[decision.stream] = (decision.epoch, decision.sequence)
        return decision

    def _next_frames(self, deadline_s: float | None) -> tuple[bytes, bytes] | None:
        """Return the topic and the body of the next message, None where there is none in time."""
        if int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            self._ask_after_reconnect()
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            pass
        else:
            return frames[0], frames[-1]
        ends_s = [deadline_s] if deadline_s is not None else []
        ends_s += [answer.latest_s + _ANSWER_S for answer in self._answers.values()]
        if self._lively:
            ends_s.append(self._latest_s + _QUIET_S)
        left_ms = None
        if ends_s:
            left_ms = max(0, math.ceil((min(ends_s) - time.monotonic()) * 1e3))
        ready = dict(self._poller.poll(left_ms))
        if self._monitor in ready or self._socket not in ready:
            return None
        frames = self._socket.recv_multipart()
        return frames[0], frames[-1]

    def _ask_after_reconnect(self) -> None:
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
        for stream in self._orders:
            self._ask(stream)

    def _take(self, topic: bytes, body: bytes) -> None:
        if topic.startswith(HELLO):
            return
        if topic.startswith(AGAIN):
            self._take_again(topic, body)
            return
        decision = self._decode(body)
        # A topic is a prefix: cam1 brings cam10 with it.
        if self._streams and decision.stream not in self._streams:
            return
        order = self._orders.setdefault(decision.stream, DecisionOrder())
        self._lively.add(decision.stream)
        self._latest_s = time.monotonic()
        self._due += order.take(decision)
        if order.asking:
            self._ask(decision.stream)

    def _take_again(self, topic: bytes, body: bytes) -> None:
        answer = self._answers.get(topic)
        if answer is None:
            return
        if not body.startswith((END, MORE)):
            answer.latest_s = time.monotonic()
            answer.decisions.append(self._decode(body))
            return
        self._forget(topic)
        try:
            count = int(body.split()[-1])
        except ValueError as error:
            raise FeedError(f"{self._endpoint} sent what is no end of an answer") from error
        order, more = self._orders[answer.stream], body.startswith(MORE)
        self._due += order.take_answer(answer.decisions, count, more=more)
        if order.asking:
            self._ask(answer.stream)

    def _ask(self, stream: str) -> None:
        """Ask for what followed the last decision of a stream, unless that has been asked."""
        order = self._orders[stream]
        if order.last is None or any(stream == a.stream for a in self._answers.values()):
            return
        order.asking = True
        topic = again_topic(secrets.token_bytes(AGAIN_ID_BYTES), After(stream, *order.last))
        self._answers[topic] = _Answer(stream, time.monotonic())
        self._socket.subscribe(topic)

    def _look_after_answers(self) -> None:
        """Go on without an answer that does not come; ask again where the end of it was lost."""
        if not self._answers and not self._lively:
            return
        now_s = time.monotonic()
        if self._lively and now_s - self._latest_s >= _QUIET_S:
            for stream in self._lively:
                self._ask(stream)
            self._lively.clear()
        for topic, answer in list(self._answers.items()):
            if now_s - answer.latest_s < _ANSWER_S:
                continue
            self._forget(topic)
            order = self._orders[answer.stream]
            if answer.decisions:
                self._due += order.take_answer(answer.decisions, -1)
                self._ask(answer.stream)
            else:
                self._due += order.settle()

    def _forget(self, topic: bytes) -> None:
        del self._answers[topic]
        self._socket.unsubscribe(topic)

    def _subscribe(self) -> None:
        connect(self._socket, self._endpoint)
        for name in self._streams or ("",):
            self._socket.subscribe(name)
        hello = HELLO + secrets.token_bytes(8)
        self._socket.subscribe(hello)
        deadline_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while True:
            frames = self._next_frames(deadline_s)
            if frames is not None and frames[0] == hello:
                break
            if frames is not None:
                self._take(*frames)
            elif deadline_s is not None and time.monotonic() >= deadline_s:
                raise FeedError(
                    f"no daemon answers at {self._endpoint} within {self._timeout_s} s; is "
                    "retempo serve running there, and does it publish its decisions there?"
                )
        self._socket.unsubscribe(hello)

    def _decode(self, body: bytes) -> Decision:
        decoder = _JSON if body.startswith(b"{") else _MSGPACK
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FeedError(f"{self._endpoint} sent what is no decision: {error}") from error
