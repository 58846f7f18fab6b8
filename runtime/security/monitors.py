"""What happens on a socket's connections, as libzmq tells it."""

import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import zmq

_HEAD = struct.Struct("=HI")

FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One event; `value` is a file descriptor, an error number or a code, by `kind`."""

    kind: int
    value: int


def has_message(sock: "zmq.Socket[Any]") -> bool:
    """Whether a socket can be read at once; a good deal cheaper than a poll."""
    return bool(int(sock.get(zmq.EVENTS)) & zmq.POLLIN)


class Monitor:
    """Watches a socket; `close` it before the socket.

    Its queue has no bound, as libzmq's I/O thread waits on a full one, and with it every
    connection. Who owns a monitor therefore reads it often.
    """

    def __init__(self, watched: "zmq.Socket[Any]", kinds: int) -> None:
        address = f"inproc://monitor-{secrets.token_hex(8)}"
        watched.monitor(address, kinds)
        self._watched = watched
        self.socket: zmq.Socket[bytes] = watched.context.socket(zmq.PAIR)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(address)

    def read(self) -> Iterator[Happening]:
        """Yield what has happened since the last reading."""
        while not self.socket.closed and has_message(self.socket):
            kind, value = _HEAD.unpack(self.socket.recv_multipart()[0])
            yield Happening(kind, value)

    def close(self) -> None:
        """Stop watching; may be called again."""
        if not self.socket.closed:
            # First of all: a watched socket without a reader would wait for ever.
            self._watched.disable_monitor()
            self.socket.close()
