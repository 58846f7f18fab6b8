"""A client's side: its keys, and why a daemon does not answer.

CURVE refuses in silence: without what the socket's monitor tells, a wrong key looks like a daemon
that is not there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.keys import KeyPair, read_one_public, read_secret
from retempo.runtime.security.monitors import FAILURES, Monitor

# libzmq's ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, which pyzmq does not name.
_MECHANISM_MISMATCH = 0x11000002
_KINDS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | FAILURES


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A client's own pair, and the public key of the daemon that it means to talk to."""

    own: KeyPair
    server: str


@dataclass(slots=True)
class Handshakes:
    """What is known of a client's connection; `close` it before its socket.

    A socket has one monitor at most, so whoever waits for a connection to break asks here too.
    """

    monitor: Monitor
    keys: ClientKeys | None
    reason: str | None = None

    def take(self) -> int:
        """Take note of what has happened since the last time; returns the kinds, or-ed."""
        kinds = 0
        for happening in self.monitor.read():
            kinds |= happening.kind
            if happening.kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.reason = None
            elif happening.kind & FAILURES and not (
                # Of one and the same refusal either side may hear first: details are luck.
                happening.kind == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and self.reason
            ):
                self.reason = _reason(happening.kind, happening.value, self.keys)
        return kinds

    def close(self) -> None:
        """Stop watching; may be called again."""
        self.monitor.close()


def read_client_keys(key: Path | None, server: Path | None) -> ClientKeys | None:
    """Read the files of `--key` and `--server`, None where both are left out.

    Raises:
        SecurityError: one of them stands alone, is missing, broken or readable by others.
    """
    if key is None and server is None:
        return None
    if key is None or server is None:
        has, lacks = ("--server", "--key") if key is None else ("--key", "--server")
        raise SecurityError(f"{has} without {lacks}; a client needs its own key and the server's")
    return ClientKeys(read_secret(key), read_one_public(server))


def client_security(sock: "zmq.Socket[Any]", keys: ClientKeys | None) -> Handshakes:
    """Prepare a socket that is not connected yet; in clear where `keys` is None."""
    if keys is not None:
        sock.set(zmq.CURVE_SERVERKEY, keys.server.encode())
        sock.set(zmq.CURVE_PUBLICKEY, keys.own.public.encode())
        sock.set(zmq.CURVE_SECRETKEY, keys.own.secret.encode())
    return Handshakes(Monitor(sock, _KINDS), keys)


def why_silent(handshakes: Handshakes) -> str | None:
    """Return why a daemon does not answer, if its handshake tells; None if there was none."""
    handshakes.take()
    return handshakes.reason


def _reason(kind: int, value: int, keys: ClientKeys | None) -> str:
    if kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        own = "a client in clear" if keys is None else f"this client's key {keys.own.public}"
        return f"it does not list {own}; add the client's public file with retempo keys allow"
    if kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == _MECHANISM_MISMATCH:
        if keys is None:
            return "it asks for keys; give --key NAME.key and --server SERVER.pub"
        return "it serves in clear; leave the keys out, or give it [security] keys"
    if keys is None:
        return (
            "what listens there ends the handshake; is it a Retempo daemon, does it ask for keys "
            "(--key, --server), or has it as many [security] connections as it takes?"
        )
    return (
        "it ends the handshake; is --server the public key of this very daemon, does it ask for "
        "keys at all, or has it as many [security] connections as it takes?"
    )
