"""The streams that have been finished lately: their senders may not have heard of it."""

from collections import OrderedDict
from dataclasses import dataclass, field

from retempo.runtime.feed import Inbox

_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a stream had come; `counters` where its sender had ended it."""

    expected: int
    sent: int
    lost: int
    counters: dict[str, int] | None = None

    def inbox(self) -> Inbox:
        """Return the place at which the sender goes on, should it come back."""
        return Inbox(self.expected, self.sent, self.lost)


@dataclass(slots=True)
class FinishedStreams:
    """The latest of them by name and epoch; the oldest are forgotten."""

    kept: int = _KEPT
    _streams: OrderedDict[tuple[str, int], Finished] = field(default_factory=OrderedDict)

    def add(self, stream: str, epoch: int, finished: Finished) -> None:
        """Remember a stream."""
        self._streams[stream, epoch] = finished
        while len(self._streams) > self.kept:
            self._streams.popitem(last=False)

    def find(self, stream: str, epoch: int) -> Finished | None:
        """Return what is remembered of a stream."""
        return self._streams.get((stream, epoch))
