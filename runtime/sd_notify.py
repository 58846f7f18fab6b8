"""systemd's notification protocol: a datagram a message, to the socket that it names."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class SystemdNotifier:
    """Tells systemd how the service fares; silent where systemd has not started it.

    `NOTIFY_SOCKET` and `WATCHDOG_USEC` are the protocol's own and the only variables of the
    environment that the daemon reads. `watchdog_s` is how long systemd waits for a sign of life,
    None where it does not.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        period = environment.get("WATCHDOG_USEC", "")
        limited = bool(self._address) and period.isdecimal() and int(period) > 0
        self.watchdog_s = int(period) / 1e6 if limited else None
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def send(self, *lines: str) -> None:
        """Send `READY=1` and the like; what cannot be delivered is dropped."""
        if self._socket is None:
            return
        # An address that begins with @ is an abstract one.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), address)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
