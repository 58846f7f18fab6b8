"""A sender's connection to a daemon, which notices that it broke and can be made anew."""

from typing import Literal

import zmq

from retempo.runtime.endpoints import connect, find_the_dead
from retempo.runtime.errors import FeedError
from retempo.runtime.feed import MAX_MESSAGE_BYTES, MAX_WINDOW
from retempo.runtime.security.client import ClientKeys, client_security
from retempo.sensors.wire import Frames

# While nobody listens there libzmq tries again by itself, jittered, at these intervals.
RETRY_MS, LONGEST_RETRY_MS = 50, 2_000

Came = Literal["reply", "broken", "nothing"]


class Link:
    """A DEALER and its monitor.

    libzmq would reconnect a DEALER by itself and then deliver what was queued before, to a daemon
    that may know nothing of it. So one leaves a connection that breaks, with all that is queued,
    and makes another by `renew`.

    `refused` is why the daemon ended the last handshake, None if it did not.

    Args:
        endpoint: the daemon's feed.
        keys: this client's and the daemon's; None sends in clear.

    Raises:
        FeedError: the endpoint is malformed.
    """

    def __init__(self, endpoint: str, keys: ClientKeys | None = None) -> None:
        self.endpoint = endpoint
        self.refused: str | None = None
        self._keys = keys
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
            self._handshakes.close()
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
        kinds = self._handshakes.take() if self._handshakes.monitor.socket in ready else 0
        self.refused = self._handshakes.reason or self.refused
        if kinds & zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.refused = None
        return "broken" if kinds & zmq.EVENT_DISCONNECTED else "nothing"

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
        find_the_dead(sock)
        self._handshakes = client_security(sock, self._keys)
        self._poller = zmq.Poller()
        self._poller.register(sock, zmq.POLLIN)
        self._poller.register(self._handshakes.monitor.socket, zmq.POLLIN)
        connect(sock, self.endpoint)
