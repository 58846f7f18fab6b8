"""One stream on its way to a daemon: opened, sent, opened again where that is needed, ended."""

import time
from collections import deque
from dataclasses import replace
from typing import Literal

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import (
    PATIENCE_S,
    TIMEOUT_S,
    Credit,
    Ended,
    Refusal,
    Rejection,
    Reply,
    SendWindow,
    decode_reply,
)
from retempo.runtime.link import Link
from retempo.runtime.patience import Patience
from retempo.runtime.send_ring import OVERHEAD_BYTES, RING_BYTES, Kept, SendRing
from retempo.sensors.errors import WireError
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import CHANNEL_EVENT_BYTES, GRID_EVENT_BYTES, no_events
from retempo.sensors.wire import Cursor, Frames, encode_message
from retempo.sensors.wire_header import Kind

# After this process was stopped, replies that lie in the kernel still need a moment.
_MOMENT_S = 0.5


class SendStream:
    """A stream from its open to its end, over a link that may break.

    Messages are numbered when they are first sent, and kept until the daemon has them for good.
    When the daemon is lost the stream is opened again with its epoch, and goes on with what the
    daemon's credit asks for.

    Args:
        link: the connection.
        at: where the stream begins.
        sheds: whether `put` drops the oldest events that are not sent, rather than wait.
        ring_bytes: what may be kept, sent or not.
        timeout_s: how long the daemon may be silent when it has something to answer.
        patience_s: how long to try to come back to it.
    """

    def __init__(
        self,
        link: Link,
        at: Cursor,
        *,
        sheds: bool = False,
        ring_bytes: int = RING_BYTES,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.at = at
        self.shed = 0
        self.reopened = 0
        self.forgotten = 0
        self._link = link
        self._sheds = sheds
        self._ring = SendRing(ring_bytes)
        self._window = SendWindow()
        self._backlog: deque[EventChunk] = deque()
        self._backlog_bytes = 0
        self._owed = 0  # events that were shed and are not told yet
        self._timeout_s = timeout_s
        self._state: Literal["opening", "open", "apart"] = "opening"
        self._heard_s = time.monotonic()
        self._patience = Patience(timeout_s, patience_s, lost_s=self._heard_s)
        self._overdue_s: float | None = None
        self._why = ""
        self._t_end_us: int | None = None
        self._end_told = False
        self._counters: dict[str, int] | None = None

    def open(self) -> None:
        """Open the stream and wait for the daemon's credit.

        Raises:
            FeedError: no daemon answers in time, or it refuses the stream.
        """
        if self._link.left:
            self._link.renew()
        self._send_open()
        while self._state != "open":
            self._advance(self._longest_wait_s())

    def put(self, piece: EventChunk) -> None:
        """Send a piece as soon as that is allowed; waits for it unless the stream sheds.

        Raises:
            FeedError: the daemon refuses the stream, or is gone for longer than the patience.
        """
        self._backlog.append(piece)
        self._backlog_bytes += _size(piece)
        self._advance(0.0)
        if self._sheds:
            self._shed()
            return
        while self._backlog:
            self._advance(self._longest_wait_s())

    def end(self, t_end_us: int) -> dict[str, int]:
        """Send what is left and the end; returns the daemon's counters.

        Raises:
            FeedError: as `put`.
        """
        self._t_end_us = t_end_us
        self._advance(0.0)
        while self._counters is None:
            self._advance(self._longest_wait_s())
        return self._counters

    def _advance(self, wait_s: float) -> None:
        """Take what has come, waiting so long for the first of it, and send what may go."""
        if self._state == "apart":
            left_s = self._patience.retry_s - time.monotonic()
            if left_s > wait_s:
                time.sleep(wait_s)
                self._check_patience()
                return
            time.sleep(max(0.0, left_s))
            self._open_again()
        while self._state != "apart" and (came := self._link.wait(wait_s)) != "nothing":
            if came == "broken":
                self._lose("the connection broke")
            else:
                self._take(decode_reply(self._link.receive(), self._link.endpoint))
            if self._counters is not None:
                return
            wait_s = 0.0
        self._check_silence()
        self._check_patience()
        self._flush()

    def _longest_wait_s(self) -> float:
        """Return how long nothing has to be looked at unless something comes."""
        now_s = time.monotonic()
        due_s = [now_s + 1.0]
        if self._state == "apart":
            due_s.append(self._patience.retry_s)
        else:
            due_s.append(self._overdue_s or self._heard_s + self._timeout_s)
        if self._state != "open":
            due_s.append(self._patience.ends_s)
        return max(1e-3, min(due_s) - now_s)

    def _take(self, reply: Reply) -> None:
        """Act on one reply; one that speaks of an earlier stream is a sign of life."""
        self._heard_s, self._overdue_s = time.monotonic(), None
        where = f"the daemon at {self._link.endpoint}"
        if isinstance(reply, Rejection):
            raise FeedError(f"{where} dropped a message: {reply.reason}")
        if (reply.stream, reply.epoch) != (self.at.stream, self.at.epoch):
            return
        if isinstance(reply, Refusal):
            if not (reply.again and self._patience.answered):
                raise FeedError(f"{where} refuses the stream {self.at.stream!r}: {reply.reason}")
            self._lose(f"it says: {reply.reason}")
        elif isinstance(reply, Credit):
            self._take_credit(reply)
        else:
            self._take_end(reply)

    def _take_credit(self, credit: Credit) -> None:
        if self._state == "opening":
            oldest = (self._ring.oldest or self.at).sequence
            self._window.resume(credit, oldest)
            self.forgotten += max(0, oldest - 1 - credit.acknowledged)
            self._state, self._patience.answered = "open", True
        else:
            self._window.acknowledge(credit)
            # It not only opens streams, it goes on with them.
            self._patience.well()
        self._ring.settle(self._window.acknowledged, credit.forgettable)

    def _take_end(self, reply: Ended) -> None:
        if self._t_end_us is not None:
            self._counters = reply.counters

    def _flush(self) -> None:
        """Send again what is asked for, then what is new, then the end."""
        if self._state != "open":
            return
        window = self._window
        while window.room and self._ring.holds(window.next_sequence):
            if not self._link.send(self._ring.get(window.next_sequence).frames):
                return
            window.send()
        while window.room and self._backlog and self._ring.make_room(_size(self._backlog[0])):
            if not self._send_new():
                return
        done = not self._backlog and window.next_sequence == self.at.sequence
        if done and self._t_end_us is not None and not self._end_told:
            self._end_told = self._link.send(self._control("end", self.at, self._t_end_us))

    def _send_new(self) -> bool:
        piece = self._backlog[0]
        if self._owed:
            piece = replace(piece, lost=piece.lost + self._owed)
        kept = Kept(self.at, _encoded("events", piece, self.at))
        if not self._link.send(kept.frames):
            return False
        self._backlog_bytes -= _size(self._backlog.popleft())
        self._owed = 0
        self._ring.add(kept)
        self._window.send()
        self.at = self.at.after(piece)
        return True

    def _shed(self) -> None:
        """Drop the oldest that is not sent, down to the limit; the newest tells of it."""
        ring = self._ring
        while len(self._backlog) > 1 and not (
            self._backlog_bytes <= ring.limit_bytes and ring.make_room(self._backlog_bytes)
        ):
            piece = self._backlog.popleft()
            self._backlog_bytes -= _size(piece)
            self._owed += piece.lost + len(piece)
            self.shed += len(piece)

    def _send_open(self) -> None:
        """Say where what is held begins; a daemon that knows the epoch answers where it stands."""
        self._heard_s, self._overdue_s = time.monotonic(), None
        self._state = "opening"
        self._link.send(self._control("open", self._ring.oldest or self.at, 0))

    def _open_again(self) -> None:
        self._link.renew()
        self.reopened += self._patience.answered
        self._end_told = False
        self._send_open()

    def _control(self, kind: Kind, at: Cursor, t_end_us: int) -> Frames:
        return _encoded(kind, no_events(at.geometry, t_end_us), at)

    def _lose(self, why: str) -> None:
        """Leave the connection, and open the stream again after a while."""
        self._link.leave()
        self._patience.lose(time.monotonic())
        self._state, self._why = "apart", why

    def _check_silence(self) -> None:
        awaited = self._state == "opening" or (
            self._state == "open" and (self._window.in_flight > 0 or self._end_told)
        )
        now_s = time.monotonic()
        if not awaited or now_s - self._heard_s <= self._timeout_s:
            return
        if self._overdue_s is None:
            self._overdue_s = now_s + min(self._timeout_s, _MOMENT_S)
        elif now_s >= self._overdue_s:
            self._lose("no answer")

    def _check_patience(self) -> None:
        if self._state == "open" or time.monotonic() < self._patience.ends_s:
            return
        endpoint, advice = self._link.endpoint, "is retempo serve running there"
        if not self._patience.answered:
            raise FeedError(
                f"no daemon answers at {endpoint} within {self._timeout_s:g} s; "
                + (self._link.refused or f"{advice}, and is the endpoint its feed?")
            )
        raise FeedError(
            f"the daemon at {endpoint} went silent after {self._window.acknowledged + 1} of the "
            f"{self.at.sequence} messages of {self.at.stream!r} ({self._why}) and did not come "
            f"back within {self._patience.later_s:g} s; " + (self._link.refused or f"{advice}?")
        )


def _size(piece: EventChunk) -> int:
    each = GRID_EVENT_BYTES if piece.channel is None else CHANNEL_EVENT_BYTES
    return OVERHEAD_BYTES + each * len(piece)


def _encoded(kind: Kind, piece: EventChunk, at: Cursor) -> Frames:
    try:
        return encode_message(kind, piece, at)
    except WireError as error:
        raise FeedError(f"the stream {at.stream!r} cannot be sent: {error}") from error
