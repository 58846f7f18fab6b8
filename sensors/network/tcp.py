"""A TCP peer that bytes come from: one that is connected to, or one that connects."""

import socket
import time

from retempo.sensors.errors import LiveError
from retempo.sensors.live.options import Address

_CONNECT_S = 5.0
_RECONNECT_S = 0.5
# An accept that waits for ever would not see Ctrl-C on every system.
_LOOK_S = 0.2
_BACKLOG = 1


class Peer:
    """One connection at a time.

    Raises:
        LiveError: the address cannot be listened at.
    """

    def __init__(self, address: Address, *, listens: bool) -> None:
        self._listener: socket.socket | None = None
        self._socket: socket.socket | None = None
        self.address = address
        if listens:
            self._listener = _listening(address)
            host, port = self._listener.getsockname()[:2]
            self.address = Address(host, port)

    def __str__(self) -> str:
        return f"{'whoever connects to ' if self._listener else ''}{self.address}"

    def meet_first(self) -> None:
        """Connect, or wait for whoever connects for as long as it takes.

        Raises:
            LiveError: nobody listens there.
        """
        if self._listener is None:
            try:
                self._socket = _connected(self.address, _CONNECT_S)
            except OSError as error:
                raise LiveError(
                    f"cannot connect to {self.address}: {error.strerror or error}; does anybody "
                    "send there?"
                ) from error
        while not (self._socket or self.meet(_LOOK_S)):
            pass

    def meet(self, timeout_s: float) -> bool:
        """Try for a connection, for about so long; returns whether there is one."""
        try:
            if self._listener is None:
                self._socket = _connected(self.address, _RECONNECT_S)
            else:
                self._listener.settimeout(timeout_s)
                self._socket = self._listener.accept()[0]
        except TimeoutError:
            return False
        except OSError:
            # Refused at once: trying again at once would take all of a core.
            time.sleep(timeout_s)
            return False
        return True

    def receive(self, timeout_s: float, most_bytes: int) -> bytes | None:
        """Take what has come, `b""` at the peer's orderly close, None where nothing comes.

        Raises:
            LiveError: the connection broke.
        """
        assert self._socket is not None  # noqa: S101  (who receives has met)
        self._socket.settimeout(timeout_s)
        try:
            return self._socket.recv(most_bytes)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            raise LiveError(
                f"the connection to {self.address} broke: {error.strerror or error}"
            ) from error

    def leave(self) -> None:
        """Close the connection and stay ready for another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Close everything."""
        self.leave()
        if self._listener is not None:
            self._listener.close()


def _connected(address: Address, timeout_s: float) -> socket.socket:
    return socket.create_connection((address.host or "127.0.0.1", address.port), timeout_s)


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise LiveError(
            f"cannot listen at tcp {address}: {error.strerror or error}; take another port, or an "
            "address of this machine"
        ) from error
    return sock
