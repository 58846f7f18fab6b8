"""Receive a daemon's decisions."""

import secrets
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import msgspec
import zmq

from retempo.runtime.decision import Decision
from retempo.runtime.decisions_out import HELLO
from retempo.runtime.endpoints import connect, wait
from retempo.runtime.errors import FeedError
from retempo.runtime.security.client import ClientKeys, client_security, why_silent

_JSON = msgspec.json.Decoder(Decision)
_MSGPACK = msgspec.msgpack.Decoder(Decision)


class Decisions:
    """The decisions of some streams, or of all; an iterator and a context manager.

    Once it is made, no decision that the daemon then publishes is missed for want of a
    subscription. `missed` counts, a stream, the decisions dropped since: a subscriber that reads
    more slowly than the daemon decides misses some, and knows by their sequence.

    Args:
        endpoint: the daemon's decisions, `tcp://127.0.0.1:7711`.
        streams: names; none stands for every stream.
        timeout_s: how long to wait for the daemon at the start, and, iterating, for each decision;
            None waits for ever.
        keys: this client's and the daemon's; None listens in clear.

    Raises:
        FeedError: no daemon answers in time, or the endpoint is malformed.
    """

    def __init__(
        self,
        endpoint: str,
        streams: Sequence[str] = (),
        timeout_s: float | None = None,
        keys: ClientKeys | None = None,
    ) -> None:
        self.missed: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        self._endpoint = endpoint
        self._streams = frozenset(streams)
        self._timeout_s = timeout_s
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        self._handshakes = client_security(self._socket, keys)
        try:
            self._subscribe()
        except BaseException:
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
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not wait(self._socket, left_s):
                return None
            frames = self._socket.recv_multipart()
            if frames[0].startswith(HELLO):
                continue
            decision = self._decode(frames)
            # A topic is a prefix: cam1 brings cam10 with it.
            if not self._streams or decision.stream in self._streams:
                self._count(decision)
                return decision

    def _subscribe(self) -> None:
        connect(self._socket, self._endpoint)
        for name in self._streams or ("",):
            self._socket.subscribe(name)
        hello = HELLO + secrets.token_bytes(8)
        self._socket.subscribe(hello)
        deadline_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not wait(self._socket, left_s):
                asked = "is retempo serve running there, and does it publish its decisions there?"
                raise FeedError(
                    f"no daemon answers at {self._endpoint} within {self._timeout_s} s; "
                    f"{why_silent(self._handshakes) or asked}"
                )
            if self._socket.recv_multipart()[0] == hello:
                return

    def _decode(self, frames: list[bytes]) -> Decision:
        body = frames[-1]
        decoder = _JSON if body.startswith(b"{") else _MSGPACK
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FeedError(f"{self._endpoint} sent what is no decision: {error}") from error

    def _count(self, decision: Decision) -> None:
        expected = self._expected.get(decision.stream)
        if expected is None:
            missed = 0
        elif decision.sequence < expected:
            missed = decision.sequence
        else:
            missed = decision.sequence - expected
        self.missed[decision.stream] = self.missed.get(decision.stream, 0) + missed
        self._expected[decision.stream] = 0 if decision.final else decision.sequence + 1
