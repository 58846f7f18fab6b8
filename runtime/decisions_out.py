"""Where decisions leave: a publishing socket that never waits for a subscriber."""

from collections.abc import Callable
from typing import Any, Literal

import zmq

from retempo.runtime.decision import Decision, encode_json, encode_msgpack
from retempo.runtime.endpoints import wait

Format = Literal["json", "msgpack"]

ENCODERS: dict[Format, Callable[[Decision], bytes]] = {
    "json": encode_json,
    "msgpack": encode_msgpack,
}

# Who subscribes to such a topic last is sent it back: by then all that it wants is in force.
HELLO = b"\0hello"
# Some 10 s of one stream at 1 ms bins. What a slower subscriber misses, it sees by the sequence.
QUEUED_DECISIONS = 10_000
_MAX_SUBSCRIPTION_BYTES = 4_096


def decisions_socket(context: "zmq.Context[Any]") -> "zmq.Socket[bytes]":
    """Return an unbound socket for decisions.

    XPUB is PUB that also shows the subscriptions. Like PUB it drops for a subscriber whose queue is
    full and goes on at once; XPUB_NODROP stays off.
    """
    sock: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    sock.set(zmq.SNDHWM, QUEUED_DECISIONS)
    sock.set(zmq.MAXMSGSIZE, _MAX_SUBSCRIPTION_BYTES)
    # Long enough for the final decisions to leave, short enough not to hold up a shutdown.
    sock.set(zmq.LINGER, 1_000)
    return sock


def send_decision(
    sock: "zmq.Socket[bytes]", encode: Callable[[Decision], bytes], decision: Decision
) -> None:
    """Send a decision as two frames, the stream's name as topic and the body."""
    sock.send_multipart([decision.stream.encode(), encode(decision)], flags=zmq.NOBLOCK)


def greet_subscribers(sock: "zmq.Socket[bytes]") -> None:
    """Take the subscriptions that have come in, and answer those that ask to be."""
    while wait(sock, 0):
        frames = sock.recv_multipart()
        if frames[0].startswith(b"\x01" + HELLO):
            sock.send_multipart([frames[0][1:], b""], flags=zmq.NOBLOCK)
