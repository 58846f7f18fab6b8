"""Where decisions leave: a publishing socket that never waits for a subscriber."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(slots=True)
class Overflows:
    """How often the queue of a subscriber has run full; each time some decisions were dropped.

    How many, libzmq does not say: it leaves the subscriber out until that has read again, and the
    subscriber sees by the sequence what it has missed.
    """

    times: int = 0


def decisions_socket(context: "zmq.Context[Any]") -> "zmq.Socket[bytes]":
    """Return an unbound socket for decisions.

    XPUB is PUB that also shows the subscriptions, and with XPUB_NODROP says when the queue of a
    subscriber is full, see `send_decision`.
    """
    sock: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    sock.set(zmq.SNDHWM, QUEUED_DECISIONS)
    sock.set(zmq.XPUB_NODROP, 1)
    sock.set(zmq.MAXMSGSIZE, _MAX_SUBSCRIPTION_BYTES)
    # Long enough for the final decisions to leave, short enough not to hold up a shutdown.
    sock.set(zmq.LINGER, 1_000)
    return sock


def send_decision(
    sock: "zmq.Socket[bytes]",
    encode: Callable[[Decision], bytes],
    overflows: Overflows,
    decision: Decision,
) -> None:
    """Send a decision as two frames, the stream's name as topic and the body; never waits.

    Where the queue of a subscriber runs full, the others get it and that is counted.
    """
    send_lossy(sock, [decision.stream.encode(), encode(decision)], overflows)


def send_lossy(sock: "zmq.Socket[bytes]", frames: list[bytes], overflows: Overflows) -> None:
    """Send a message to every subscriber that has room for it; count when one has not."""
    try:
        sock.send_multipart(frames, flags=zmq.NOBLOCK)
    except zmq.Again:
        overflows.times += 1
        sock.set(zmq.XPUB_NODROP, 0)
        sock.send_multipart(frames, flags=zmq.NOBLOCK)
        sock.set(zmq.XPUB_NODROP, 1)


def greet_subscribers(sock: "zmq.Socket[bytes]") -> None:
    """Take the subscriptions that have come in, and answer those that ask to be."""
    while wait(sock, 0):
        frames = sock.recv_multipart()
        if frames[0].startswith(b"\x01" + HELLO):
            # Who has no room for it asks again.
            with suppress(zmq.Again):
                sock.send_multipart([frames[0][1:], b""], flags=zmq.NOBLOCK)
