"""The feed's protocol: the daemon's replies, the sender's window, the receiver's place.

`docs/wire-format.md` is the specification. Everything here is plain state and pure functions; the
publisher and the daemon own the sockets.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from retempo.runtime.errors import FeedError
from retempo.sensors.wire import Message
from retempo.sensors.wire_header import Buffer, Glance

REPLY_VERSION = 1
WINDOW = 64
MAX_WINDOW = 4_096
MAX_MESSAGE_BYTES = 2**20
KEEPALIVE_S = 1.0
TIMEOUT_S = 5.0
# A sender is credited at once when this has passed since others were, else with them: at a message
# a millisecond, credits for each would take as long as what they are for.
CREDIT_US = 5_000
# How long a sender tries to come back to a daemon that is gone.
PATIENCE_S = 30.0
# How long a daemon keeps the stream of a sender that is gone.
GRACE_US = 10_000_000

_Window = Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW)]


class Credit(msgspec.Struct, frozen=True, omit_defaults=True, tag="credit", tag_field="kind"):
    """Every events message up to `acknowledged` has been stepped; -1 stands for none.

    The sender may have `window` events messages beyond it on the way. What is stepped up to
    `durable` no restart of the daemon undoes, so the sender may forget it; None stands for
    `acknowledged`.
    """

    v: int
    stream: str
    epoch: int
    acknowledged: int
    window: _Window
    durable: int | None = None

    @property
    def forgettable(self) -> int:
        """The sequence up to which the sender needs to keep nothing."""
        return self.acknowledged if self.durable is None else self.durable


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True, tag="refuse", tag_field="kind"):
    """The stream is not open, or no longer: nothing more of it is stepped.

    With `again` the sender of this epoch may open it once more, here or where another daemon takes
    this one's place, and goes on with what is then credited.
    """

    v: int
    stream: str
    epoch: int
    reason: str
    again: bool = False


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
    """A sender's place in a stream: what it has sent, what is stepped, how far it may go on.

    `next_sequence` is what it sends next, over this connection; `numbered` messages were sent over
    one or another.
    """

    next_sequence: int = 0
    acknowledged: int = -1
    window: int = 0
    numbered: int = 0

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
        self.numbered = max(self.numbered, self.next_sequence)

    def acknowledge(self, credit: Credit) -> None:
        """Take the daemon's word for what has been stepped, and its window.

        Raises:
            FeedError: the daemon acknowledges what was never sent.
        """
        if credit.acknowledged >= self.numbered:
            raise FeedError(
                f"the daemon acknowledged message {credit.acknowledged} of {credit.stream!r}, of "
                f"which {self.numbered} were sent; another sender uses this stream's epoch"
            )
        self.window = credit.window
        self.acknowledged = max(self.acknowledged, credit.acknowledged)
        # What came over an earlier connection may be stepped before it is sent again.
        self.next_sequence = max(self.next_sequence, self.acknowledged + 1)

    def resume(self, credit: Credit, oldest: int) -> None:
        """Go on behind the first credit of a new connection, which may have fallen back.

        Args:
            credit: that which answers `open`.
            oldest: the first message that can still be sent; those before count as acknowledged.

        Raises:
            FeedError: as `acknowledge`.
        """
        self.acknowledged, self.next_sequence = oldest - 1, 0
        self.acknowledge(credit)


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
        """Return the place at which a sender opens its stream, or opens it again."""
        return cls(message.sequence, message.sent, message.lost)

    def is_duplicate(self, message: Message) -> bool:
        """Whether an events message was taken before, or given up as missing; counts it."""
        repeated = message.sequence < self.expected
        self.duplicates += repeated
        return repeated

    def follows(self, seen: Glance) -> bool:
        """Whether an events message is the next one, with nothing lost before it."""
        return seen.sequence == self.expected and seen.sent == self.sent and seen.lost == self.lost

    def follow(self, events: int) -> None:
        """Move behind such a message."""
        self.expected += 1
        self.sent += events

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
