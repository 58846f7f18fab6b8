"""The feed's protocol: the daemon's replies, the sender's window, the receiver's place.

`docs/wire-format.md` is the specification. Everything here is plain state and pure functions; the
publisher and the daemon own the sockets.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from retempo.runtime.errors import FeedError
from retempo.sensors.wire import Message
from retempo.sensors.wire_header import Buffer

REPLY_VERSION = 1
WINDOW = 64
MAX_WINDOW = 4_096
MAX_MESSAGE_BYTES = 2**20
KEEPALIVE_S = 1.0
TIMEOUT_S = 5.0

_Window = Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW)]


class Credit(msgspec.Struct, frozen=True, tag="credit", tag_field="kind"):
    """Every events message up to `acknowledged` has been stepped; -1 stands for none.

    The sender may have `window` events messages beyond it on the way.
    """

    v: int
    stream: str
    epoch: int
    acknowledged: int
    window: _Window


class Refusal(msgspec.Struct, frozen=True, tag="refuse", tag_field="kind"):
    """The stream is not open, or no longer: nothing more of it is stepped."""

    v: int
    stream: str
    epoch: int
    reason: str


class Rejection(msgspec.Struct, frozen=True, tag="reject", tag_field="kind"):
    """One message was malformed and dropped; of which stream it was cannot be known."""

    v: int
    reason: str


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="kind"):
    """The stream has been stepped to its end and its last decision is out."""

    v: int
    stream: str
    epoch: int
    counters: dict[str, int]


Reply = Credit | Refusal | Rejection | Ended

_REPLY: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode_reply(reply: Reply) -> bytes:
    """Return the one frame of a reply."""
    return msgspec.msgpack.encode(reply)


def decode_reply(frame: Buffer, endpoint: str) -> Reply:
    """Read a reply.

    Raises:
        FeedError: it is none, or of another version.
    """
    try:
        reply = _REPLY.decode(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FeedError(f"{endpoint} does not answer as a Retempo daemon does: {error}") from error
    if reply.v != REPLY_VERSION:
        raise FeedError(
            f"the daemon at {endpoint} speaks version {reply.v} of the feed, this sender "
            f"{REPLY_VERSION}; install the same Retempo on both sides"
        )
    return reply


@dataclass(slots=True)
class SendWindow:
    """A sender's place in a stream: what it has sent, what is stepped, how far it may go on."""

    next_sequence: int = 0
    acknowledged: int = -1
    window: int = 0

    @property
    def in_flight(self) -> int:
        """How many messages are sent and not acknowledged."""
        return self.next_sequence - 1 - self.acknowledged

    @property
    def room(self) -> bool:
        """Whether one more events message may be sent."""
        return self.in_flight < self.window

    def send(self) -> None:
        """Count a message that is being sent."""
        self.next_sequence += 1

    def acknowledge(self, credit: Credit) -> None:
        """Take the daemon's word for what has been stepped, and its window.

        Raises:
            FeedError: the daemon acknowledges what was never sent.
        """
        if credit.acknowledged >= self.next_sequence:
            raise FeedError(
                f"the daemon acknowledged message {credit.acknowledged} of {credit.stream!r}, of "
                f"which {self.next_sequence} were sent; another sender uses this stream's epoch"
            )
        self.window = credit.window
        self.acknowledged = max(self.acknowledged, credit.acknowledged)


@dataclass(slots=True)
class Inbox:
    """A receiver's place in a stream: tells new messages from repeated and missing ones."""

    expected: int
    sent: int
    lost: int
    duplicates: int = 0
    missing: int = 0

    @classmethod
    def at(cls, message: Message) -> "Inbox":
        """Return the place at which a sender opens its stream."""
        return cls(message.sequence, message.sent, message.lost)

    def is_duplicate(self, message: Message) -> bool:
        """Whether an events message was taken before, or given up as missing; counts it."""
        repeated = message.sequence < self.expected
        self.duplicates += repeated
        return repeated

    def take(self, message: Message) -> int:
        """Move behind a message; returns how many events were lost before it.

        These are the events of missing messages, which `sent` tells exactly, and those that the
        sender itself has missed since the message before.
        """
        lost = max(0, message.sent - self.sent) + max(0, message.lost - self.lost)
        self.missing += max(0, message.sequence - self.expected)
        self.expected = message.sequence + (message.kind == "events")
        self.sent = message.sent + len(message.chunk)
        self.lost = message.lost
        return lost
