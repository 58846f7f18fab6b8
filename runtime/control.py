"""The control socket: whoever may reach it asks what is served, swaps the model, ends the daemon.

It is a ROUTER that any REQ speaks to: a request that takes long, a peer that never reads and one
that sends rubbish hold up nobody.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import zmq

from retempo.runtime.control_protocol import (
    MAX_REQUEST_BYTES,
    Request,
    Status,
    Swap,
    decode_request,
    refusal,
)
from retempo.runtime.deployment import Deployment
from retempo.runtime.endpoints import bind
from retempo.runtime.errors import FeedError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.status import status_of
from retempo.runtime.swapping import Swapped, Swapping

# Requests looked at before streams are stepped again.
_BATCH = 4
_MOST_FRAMES = 3
_LOCAL_TCP = re.compile(r"tcp://(127(\.[0-9]{1,3}){3}|localhost|\[::1\]):.*")


class Control:
    """A chore that answers the control socket.

    Raises:
        FeedError: the endpoint is no local one, or cannot be bound.
    """

    def __init__(
        self,
        server: FeedServer,
        log: EventLog,
        endpoint: str,
        swapping: Swapping,
        named: Callable[[str], Deployment],
        reread: Callable[[], Deployment],
        stop: Callable[[], None],
    ) -> None:
        check_local(endpoint)
        self._server = server
        self._log = log
        self._swapping = swapping
        self._named = named
        self._reread = reread
        self._stop = stop
        self._began_us = server.deployment.clock_us()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.set(zmq.RCVHWM, 16)
        self._socket.set(zmq.SNDHWM, 16)
        # Long enough for a last answer, short enough not to hold up the end.
        self._socket.set(zmq.LINGER, 200)
        # Whoever may write to an ipc socket may connect: its owner alone.
        before = os.umask(0o177) if endpoint.startswith("ipc://") else None
        try:
            self.endpoint = bind(self._socket, endpoint, "[control] bind")
        except FeedError:
            self._socket.close()
            self._context.term()
            raise
        finally:
            if before is not None:
                os.umask(before)
        log.info("control", endpoint=self.endpoint)

    @property
    def sources(self) -> Sequence[Any]:
        """The socket that wakes the loop."""
        return (self._socket,)

    def tick(self) -> None:
        """Answer what has come in, a few at a time."""
        for _ in range(_BATCH):
            try:
                frames = self._receive()
            except zmq.Again:
                return
            if 2 <= len(frames) <= _MOST_FRAMES:
                self._answer(frames[:-1], frames[-1])

    def close(self) -> None:
        """Close the socket, once the last answers have left or nobody takes them."""
        self._socket.close()
        self._context.term()

    def _receive(self) -> list[bytes]:
        frames = [self._socket.recv(zmq.NOBLOCK)]
        while self._socket.get(zmq.RCVMORE):
            frame = self._socket.recv()
            # What has more frames is no request of ours, and they need not be kept.
            if len(frames) <= _MOST_FRAMES:
                frames.append(frame)
        return frames

    def _answer(self, to: list[bytes], body: bytes) -> None:
        try:
            request = decode_request(body)
        except FeedError as error:
            self._log.warning("control_refused", reason=str(error))
            self._send(to, refusal("request", str(error)))
            return
        try:
            self._act(to, request)
        except Exception as error:  # noqa: BLE001  (one bad request must not end the daemon)
            self._log.error("control_failed", reason=f"{type(error).__name__}: {error}")
            self._send(to, refusal("internal", f"{type(error).__name__}: {error}"))

    def _act(self, to: list[bytes], request: Request) -> None:
        if isinstance(request, Status):
            uptime_s = (self._server.deployment.clock_us() - self._began_us) / 1e6
            status = status_of(self._server, uptime_s, swapping=self._swapping.busy)
            self._send(to, {"ok": True, **msgspec.to_builtins(status)})
        elif isinstance(request, Swap):
            self._swap(to, request.model)
        else:
            self._log.info("stop_requested", by="control")
            self._send(to, {"ok": True, "stopping": True})
            self._stop()

    def _swap(self, to: list[bytes], model: str | None) -> None:
        def told(outcome: Swapped) -> None:
            self._send(to, {"ok": outcome.ok, **msgspec.to_builtins(outcome)})

        named = self._named
        prepare = self._reread if model is None else lambda: named(model)
        if not self._swapping.begin(prepare, "control", told):
            self._send(to, refusal("busy", "a swap is under way; ask again when it is done"))

    def _send(self, to: list[bytes], reply: dict[str, Any]) -> None:
        # A peer that has gone or does not read gets nothing, and waits for nobody.
        with suppress(zmq.ZMQError):
            self._socket.send_multipart([*to, msgspec.json.encode(reply)], flags=zmq.NOBLOCK)


def check_local(endpoint: str) -> None:
    """Check that an endpoint is reached from this machine alone, and has an owner where it can.

    Raises:
        FeedError: it is another.
    """
    if endpoint.startswith("ipc://") and not endpoint.startswith(("ipc://@", "ipc://*")):
        return
    if not _LOCAL_TCP.fullmatch(endpoint):
        raise FeedError(
            f"[control] bind {endpoint!r} is not local; who controls the daemon sits on its "
            "machine: write ipc:///run/retempo/control, or tcp://127.0.0.1:7712"
        )
