"""What a client's socket is opened with, and what is heard of its connections."""

import secrets
import struct
from collections.abc import Iterator
from typing import Any, Protocol

import zmq

_HEAD = struct.Struct("=HI")


class Terms(Protocol):
    """On what terms a client meets a daemon: in clear, or with keys."""

    def prepare(self, sock: "zmq.Socket[Any]") -> None:
        """Set the options of a socket that is not connected yet."""
        ...

    def happened(self, kind: int, value: int) -> None:
        """Take what libzmq tells of a handshake: `zmq.EVENT_HANDSHAKE_...`, and its value."""
        ...

    def why_silent(self) -> str | None:
        """Return why no daemon answers, as a clause, if a handshake has told."""
        ...


class InClear:
    """The terms of a client without keys, which asks no questions."""

    def prepare(self, sock: "zmq.Socket[Any]") -> None:
        """Leave the socket as it is."""

    def happened(self, kind: int, value: int) -> None:
        """Take no notice."""

    def why_silent(self) -> None:
        """Return None: nothing is known."""


class Watch:
    """A socket's monitor, told of the handshakes and of broken connections.

    `close` it before the socket. Its queue has no bound, as libzmq's I/O thread would wait on a
    full one.
    """

    def __init__(self, sock: "zmq.Socket[Any]", terms: Terms) -> None:
        address = f"inproc://watch-{secrets.token_hex(8)}"
        failures = (
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        )
        kinds = failures | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        sock.monitor(address, kinds)
        self._watched, self._terms = sock, terms
        self.socket: zmq.Socket[bytes] = sock.context.socket(zmq.PAIR)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(address)

    def read(self) -> Iterator[int]:
        """Yield the kinds of what has happened since the last reading."""
        # A good deal cheaper than a poll.
        while int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
            kind, value = _HEAD.unpack(self.socket.recv_multipart()[0])
            if kind != zmq.EVENT_DISCONNECTED:
                self._terms.happened(kind, value)
            yield kind

    def close(self) -> None:
        """Stop watching."""
        self._watched.disable_monitor()
        self.socket.close()
