"""Where decisions leave: a publishing socket that never waits for a subscriber."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import zmq

from retempo.runtime.decision import Decision, encode_json, encode_msgpack
from retempo.runtime.decision_history import DecisionHistory
from retempo.runtime.endpoints import wait
from retempo.runtime.errors import FeedError
from retempo.runtime.feed_stream import FeedReport

Format = Literal["json", "msgpack"]

ENCODERS: dict[Format, Callable[[Decision], bytes]] = {
    "json": encode_json,
    "msgpack": encode_msgpack,
}

# Who subscribes to such a topic last is sent by it where the streams stand: by then all that it
# wants is in force.
HELLO = b"\0hello"
# Who subscribes to such a topic is sent by it what followed a decision.
AGAIN = b"\0again"
AGAIN_ID_BYTES = 8
# How the last body of an answer begins, with how many decisions it held, where that was all there
# is and where it was not.
END, MORE = b"end ", b"more "
# Decisions in one answer, so that none holds the loop up or fills a subscriber's queue.
ANSWER = 1_000
# Some 10 s of one stream at 1 ms bins. What a slower subscriber misses, it sees by the sequence.
QUEUED_DECISIONS = 10_000
_MAX_SUBSCRIPTION_BYTES = 4_096


class After(msgspec.Struct, frozen=True):
    """Which decision of a stream a subscriber had last; `sequence` -1 stands for none."""

    stream: str
    epoch: int
    sequence: int


_AFTER = msgspec.msgpack.Decoder(After)
_STANDS = msgspec.msgpack.Decoder(tuple[After, ...])


def again_topic(identity: bytes, after: After) -> bytes:
    """Return the topic that asks for what followed a decision; `identity` makes it unique."""
    return AGAIN + identity + msgspec.msgpack.encode(after)


def stands_of(body: bytes) -> tuple[After, ...]:
    """Return the last decision of each stream, as a greeting is answered.

    Raises:
        FeedError: the body is no such answer.
    """
    if not body:
        return ()  # a daemon of before says nothing of it
    try:
        return _STANDS.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FeedError(f"the answer to {HELLO!r} says where no stream stands: {error}") from error


def decisions_socket(context: "zmq.Context[Any]") -> "zmq.Socket[bytes]":
    """Return an unbound socket for decisions.

    XPUB is PUB that also shows the subscriptions.
    """
    sock: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    sock.set(zmq.SNDHWM, QUEUED_DECISIONS)
    sock.set(zmq.XPUB_NODROP, 1)
    sock.set(zmq.MAXMSGSIZE, _MAX_SUBSCRIPTION_BYTES)
    # Long enough for the final decisions to leave, short enough not to hold up a shutdown.
    sock.set(zmq.LINGER, 1_000)
    sock.set(zmq.XPUB_NODROP, 1)
    return sock


@dataclass(slots=True)
class DecisionsOut:
    """Publishes decisions and keeps the latest for those who missed them.

    Like PUB it drops for a subscriber whose queue is full and goes on at once. `report.undelivered`
    counts the messages for which at least one had no room.
    """

    sock: "zmq.Socket[bytes]"
    encode: Callable[[Decision], bytes] = encode_json
    history: DecisionHistory = field(default_factory=DecisionHistory)
    report: FeedReport = field(default_factory=FeedReport)

    def publish(self, decision: Decision) -> None:
        """Send a decision as two frames, the stream's name as topic and the body."""
        body = self.encode(decision)
        self.history.add(decision.stream, decision.epoch, decision.sequence, body)
        self._send(decision.stream.encode(), body)

    def answer(self) -> None:
        """Take the subscriptions that have come in, and answer those that ask for something."""
        while wait(self.sock, 0):
            frame = self.sock.recv_multipart()[0]
            if frame.startswith(b"\x01" + HELLO):
                stands = [After(*stand) for stand in self.history.stands()]
                self._send(frame[1:], msgspec.msgpack.encode(stands))
            elif frame.startswith(b"\x01" + AGAIN):
                self._send_again(frame[1:])

    def _send_again(self, topic: bytes) -> None:
        try:
            after = _AFTER.decode(topic[len(AGAIN) + AGAIN_ID_BYTES :])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            # It may have meant another version; that there is nothing for it is an answer too.
            self._send(topic, END + b"0")
            return
        bodies = self.history.after(after.stream, after.epoch, after.sequence, ANSWER + 1)
        for body in bodies[:ANSWER]:
            self._send(topic, body)
        last = MORE if len(bodies) > ANSWER else END
        self._send(topic, last + b"%d" % min(len(bodies), ANSWER))

    def _send(self, topic: bytes, body: bytes) -> None:
        """Send to whoever has room.

        With XPUB_NODROP libzmq says that a queue is full, and then sends to nobody; so it is sent
        once more without, and only the one whose queue is full goes without.
        """
        try:
            self.sock.send_multipart([topic, body], flags=zmq.NOBLOCK)
        except zmq.Again:
            self.report.undelivered += 1
            self.sock.set(zmq.XPUB_NODROP, 0)
            self.sock.send_multipart([topic, body], flags=zmq.NOBLOCK)
            self.sock.set(zmq.XPUB_NODROP, 1)
