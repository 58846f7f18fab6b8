"""Sockets bound and connected with errors that a user can act on."""

import errno
import math
import re
import socket
import stat
from pathlib import Path
from typing import Any

import zmq

from retempo.runtime.errors import FeedError

_FORM = "write tcp://127.0.0.1:7710, or ipc:///run/retempo/feed"
_LAST_PORT = 65_535
# Seconds without a word, seconds between two questions, and how many go unanswered.
_KEEPALIVE = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 4,
    zmq.TCP_KEEPALIVE_INTVL: 2,
    zmq.TCP_KEEPALIVE_CNT: 3,
}
_TCP = re.compile(r"tcp://(?P<host>[^\s/]+):(?P<port>[0-9]{1,5}|\*)")


def bind(sock: "zmq.Socket[Any]", endpoint: str, key: str) -> str:
    """Bind a socket; returns the endpoint as it came out, `tcp://127.0.0.1:*` with its port.

    Args:
        sock: an unbound socket.
        endpoint: where to listen.
        key: the configuration key that sets it, for messages.

    Raises:
        FeedError: the endpoint is in use, malformed or not permitted.
    """
    check_form(endpoint, key)
    if endpoint.startswith("ipc://"):
        _check_ipc(endpoint, key)
    try:
        sock.bind(endpoint)
    except zmq.ZMQError as error:
        raise FeedError(_bind_reason(endpoint, key, error)) from error
    except UnicodeError as error:
        raise FeedError(f"{key} {endpoint!r} is no endpoint; {_FORM}") from error
    return sock.getsockopt_string(zmq.LAST_ENDPOINT)


def check_form(endpoint: str, key: str) -> None:
    """Check that an endpoint is one, before it is asked who may reach it.

    Raises:
        FeedError: it is none; `key` is what sets it.
    """
    if not _well_formed(endpoint):
        raise FeedError(f"{key} {endpoint!r} is no endpoint; {_FORM}")


def connect(sock: "zmq.Socket[Any]", endpoint: str) -> None:
    """Connect a socket; whether anybody listens there shows later.

    Raises:
        FeedError: the endpoint is malformed.
    """
    if not _well_formed(endpoint):
        raise FeedError(f"cannot connect to {endpoint!r}: it is no endpoint; {_FORM}")
    try:
        sock.connect(endpoint)
    except (zmq.ZMQError, UnicodeError) as error:
        raise FeedError(f"cannot connect to {endpoint!r}: {error}; {_FORM}") from error


def find_the_dead(sock: "zmq.Socket[Any]") -> None:
    """Let the system find a peer whose machine lost power, which closes nothing, within 10 s.

    Not by the heartbeats of libzmq: its timer aborts the whole process where a peer disconnects
    while messages of it still wait for room (4.3.5: `_io_error`, in `out_event`).
    """
    for option, value in _KEEPALIVE.items():
        sock.set(option, value)


def wait(sock: "zmq.Socket[Any]", timeout_s: float | None) -> bool:
    """Wait until a socket has a message; None waits for ever."""
    return bool(sock.poll(None if timeout_s is None else math.ceil(timeout_s * 1e3)))


def _well_formed(endpoint: str) -> bool:
    """Libzmq takes port 70000 for 4464 and 80x for 80, without a word."""
    match = _TCP.fullmatch(endpoint)
    if match is not None:
        return match["port"] == "*" or int(match["port"]) <= _LAST_PORT
    return endpoint.startswith(("ipc://", "inproc://"))


def _bind_reason(endpoint: str, key: str, error: zmq.ZMQError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen at {endpoint}: the port is in use; stop the program that holds it, or "
            f"set {key} to another port (tcp://127.0.0.1:* takes a free one)"
        )
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        return f"cannot listen at {endpoint}: no address of this machine; set {key} to one that is"
    if error.errno in (errno.EINVAL, errno.EPROTONOSUPPORT):
        return f"{key} {endpoint!r} is no endpoint; {_FORM}"
    return f"cannot listen at {endpoint}: {error.strerror}; change {key} or the permissions"


def _check_ipc(endpoint: str, key: str) -> None:
    """Refuse what libzmq would delete without asking: a file, or the socket of a live daemon.

    libzmq unlinks whatever has the path of an ipc endpoint before it binds. That is right for the
    socket that a killed daemon left behind, and for nothing else.
    """
    path = Path(endpoint.removeprefix("ipc://"))
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise FeedError(
            f"cannot listen at {endpoint}: a file is in the way; move it or change {key}"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise FeedError(
                f"cannot listen at {endpoint}: {error.strerror or error}; change {key}"
            ) from error
    raise FeedError(
        f"cannot listen at {endpoint}: another program listens there; stop it or change {key}"
    )
