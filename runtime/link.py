"""A sender's connection to a daemon, which notices that it broke and can be made anew."""

from typing import Literal

import zmq

from retempo.runtime.client_socket import InClear, Terms, Watch
from retempo.runtime.endpoints import connect
from retempo.runtime.errors import FeedError
from retempo.runtime.feed import MAX_MESSAGE_BYTES, MAX_WINDOW
from retempo.sensors.wire import Frames

# While nobody listens there libzmq tries again by itself, jittered, at these intervals.
RETRY_MS, LONGEST_RETRY_MS = 50, 2_000

Came = Literal["reply", "broken", "nothing"]


class Link:
    """A DEALER and its monitor.

    libzmq would reconnect a DEALER by itself and then deliver what was queued before, to a daemon
    that may know nothing of it. So one leaves a connection that breaks, with all that is queued,
    and makes another by `renew`.

    Args:
        endpoint: the daemon's feed.
        terms: with or without keys.

    Raises:
        FeedError: the endpoint is malformed.
    """

    def __init__(self, endpoint: str, terms: Terms | None = None) -> None:
        self.endpoint = endpoint
        self.terms = terms or InClear()
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        try:
            self._connect()
        except FeedError:
            self.close()
            raise

    @property
    def left(self) -> bool:
        """Whether there is no connection, nor an attempt at one."""
        return self._socket is None

    def leave(self) -> None:
        """Close the connection; what has not left is dropped."""
        if self._socket is not None:
            self._watch.close()
            self._socket.close()
            self._socket = None

    def renew(self) -> None:
        """Make another connection in the place of this one."""
        self.leave()
        self._connect()

    def close(self) -> None:
        """Leave the connection for good."""
        self.leave()
        self._context.term()

    def send(self, frames: Frames) -> bool:
        """Queue a message; returns whether there was room."""
        try:
            self._open.send_multipart(frames, flags=zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def wait(self, timeout_s: float) -> Came:
        """Wait for a reply, or for the connection to break; replies come first."""
        ready = dict(self._poller.poll(max(0, -int(-timeout_s * 1e3 // 1))))
        if self._open in ready:
            return "reply"
        if self._watch.socket in ready and zmq.EVENT_DISCONNECTED in list(self._watch.read()):
            return "broken"
        return "nothing"

    def receive(self) -> bytes:
        """Return the first frame of a reply that is there."""
        return self._open.recv_multipart()[0]

    @property
    def _open(self) -> "zmq.Socket[bytes]":
        assert self._socket is not None  # noqa: S101  (nobody uses what was left)
        return self._socket

    def _connect(self) -> None:
        sock: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket = sock
        # The window is the bound; a lower mark would block where no time limit is watched.
        sock.set(zmq.SNDHWM, MAX_WINDOW + 2)
        # An aborted stream must not keep its process alive: what counts has been acknowledged.
        sock.set(zmq.LINGER, 0)
        sock.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        sock.set(zmq.RECONNECT_IVL, RETRY_MS)
        sock.set(zmq.RECONNECT_IVL_MAX, LONGEST_RETRY_MS)
        self.terms.prepare(sock)
        self._watch = Watch(sock, self.terms)
        self._poller = zmq.Poller()
        self._poller.register(sock, zmq.POLLIN)
        self._poller.register(self._watch.socket, zmq.POLLIN)
        connect(sock, self.endpoint)
