"""What senders are told: credit, refusals, and that their streams have ended."""

import math
from collections.abc import Callable, Container
from typing import Literal

from retempo.runtime.clock import Clock
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import CREDIT_US, REPLY_VERSION, Credit, Ended, Refusal, Rejection, Reply
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
        # Those that have been stepped since their last credit, by name.
        self._owed: dict[str, FeedStream] = {}
        self._credited_us = -math.inf

    def owe(self, stream: FeedStream) -> None:
        """Let a stream be answered with the others."""
        stream.unanswered += 1
        self._owed[stream.name] = stream

    def owes_in_us(self, clock_us: Clock) -> float:
        """Return how long `acknowledge` may wait, infinite where nobody is owed anything."""
        if not self._owed:
            return math.inf
        return max(0.0, self._credited_us + CREDIT_US - clock_us())

    def acknowledge(self, clock_us: Clock) -> None:
        """Answer all that are owed, unless that has been done less than `CREDIT_US` ago."""
        if not self._owed or self.owes_in_us(clock_us) > 0.0:
            return
        self._credited_us = clock_us()
        owed, self._owed = self._owed, {}
        for stream in owed.values():
            if stream.unanswered and self.credit(stream) == "full":
                self._owed[stream.name] = stream

    def forget(self, stream: FeedStream) -> None:
        """Owe a stream nothing more."""
        self._owed.pop(stream.name, None)

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
