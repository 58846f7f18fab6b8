"""Which endpoints the network can reach, and who may open the socket of an ipc endpoint."""

import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from retempo.runtime.security.errors import SecurityError

Access = Literal["owner", "group", "anyone"]

_UMASK: dict[Access, int] = {"owner": 0o177, "group": 0o117, "anyone": 0o111}
_TCP = re.compile(r"tcp://(?P<host>.+):[^:]+")


def is_local(endpoint: str) -> bool:
    """Whether only programs on this machine reach an endpoint.

    Of tcp only a numeric loopback address is: a name, of a host or of an interface, can stand for
    any address, and `*` and 0.0.0.0 stand for all. No other transport leaves the machine, and
    `runtime.endpoints.bind` knows none but ipc and inproc.
    """
    if not endpoint.startswith("tcp:"):
        return True
    match = _TCP.fullmatch(endpoint)
    if match is None:
        return False
    host = match["host"]
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposed(endpoint: str, key: str, *, encrypted: bool, clear_on_network: bool) -> None:
    """Refuse to serve the network in clear, unless that is asked for.

    Args:
        endpoint: where to listen.
        key: the configuration key that sets it, for messages.
        encrypted: whether peers must have a listed key.
        clear_on_network: whether the network may be served without.

    Raises:
        SecurityError: it would.
    """
    if encrypted or clear_on_network or is_local(endpoint):
        return
    raise SecurityError(
        f"{key} {endpoint!r} is open to the network without keys; set [security] keys and allow "
        "(see retempo keys --help), or bind 127.0.0.1, or set [security] clear_on_network = true "
        "if every machine that reaches it may send and read everything"
    )


@contextmanager
def socket_access(access: Access) -> Iterator[None]:
    """Let the socket of an ipc endpoint that is made meanwhile be opened by those alone."""
    before = os.umask(_UMASK[access])
    try:
        yield
    finally:
        os.umask(before)
