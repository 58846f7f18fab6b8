"""What senders are told: credit, refusals, and that their streams have ended."""

from collections.abc import Callable, Container
from typing import Literal

from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import REPLY_VERSION, Credit, Ended, Refusal, Rejection, Reply
from retempo.runtime.feed_stream import FeedReport, FeedStream
from retempo.sensors.wire import Message

# "full" is a peer that does not read: what it was to be told waits until the next round.
Delivery = Literal["sent", "full", "gone"]


class Replies:
    """Tells the senders of one server; `window` is what each may send ahead."""

    def __init__(
        self,
        send: Callable[[bytes, Reply], Delivery],
        log: EventLog,
        report: FeedReport,
        window: int,
    ) -> None:
        self._send = send
        self._log = log
        self._report = report
        self._window = window
        self._ended: list[tuple[bytes, Ended]] = []

    def credit(self, stream: FeedStream) -> Delivery:
        """Answer a stream for all that has been stepped of it."""
        if not stream.owner:
            return "gone"
        credit = Credit(
            REPLY_VERSION, stream.name, stream.epoch, stream.stepped, self._window, stream.durable
        )
        delivery = self._send(stream.owner, credit)
        if delivery == "sent":
            stream.unanswered = 0
        return delivery

    def reject(self, owner: bytes, reason: str) -> None:
        """Tell a connection that its message cannot be read and is dropped."""
        self._report.malformed += 1
        self._log.warning("malformed_message", reason=reason)
        self._send(owner, Rejection(REPLY_VERSION, reason))

    def refuse(self, owner: bytes, message: Message, reason: str, *, again: bool = False) -> None:
        """Tell a connection that the stream of its message is not taken.

        Args:
            owner: the connection.
            message: names the stream and its epoch.
            reason: in one line.
            again: whether it may try again.
        """
        self._report.refused += 1
        self._log.warning("refused", stream=message.stream, reason=reason)
        self._send(owner, Refusal(REPLY_VERSION, message.stream, message.epoch, reason, again))

    def dismiss(self, stream: FeedStream, reason: str, *, again: bool = False) -> None:
        """Tell the sender of a stream, where it is there, that the stream goes no further."""
        if stream.owner:
            refusal = Refusal(REPLY_VERSION, stream.name, stream.epoch, reason, again)
            self._send(stream.owner, refusal)

    def ended(self, owner: bytes, message: Message, counters: dict[str, int]) -> None:
        """Tell a connection that the stream of its message has ended before."""
        self._send(owner, Ended(REPLY_VERSION, message.stream, message.epoch, counters))

    def end(self, stream: FeedStream) -> None:
        """Note that a stream has ended: `tell_ended` tells its sender."""
        counters = stream.pipeline.counters.as_dict()
        ended = Ended(REPLY_VERSION, stream.name, stream.epoch, counters)
        self._ended.append((stream.owner, ended))

    def tell_ended(self, durable: Container[tuple[str, int]] | None = None) -> None:
        """Tell senders that their streams have ended, see `FeedServer.tell_ended`."""
        waiting, self._ended = self._ended, []
        for owner, ended in waiting:
            if durable is None or (ended.stream, ended.epoch) in durable:
                self._send(owner, ended)
            else:
                self._ended.append((owner, ended))
