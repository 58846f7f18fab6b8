"""The decisions of late, encoded as they were published: what a subscriber missed is in there."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

HISTORY_BYTES = 4 * 2**20
# What Python keeps beside a body.
_OVERHEAD_BYTES = 200

# Stream, epoch, sequence, body.
Entry = tuple[str, int, int, bytes]


@dataclass(slots=True)
class DecisionHistory:
    """Encoded decisions of all streams, bounded in bytes; the oldest of all go first."""

    limit_bytes: int = HISTORY_BYTES
    held_bytes: int = 0
    _order: deque[str] = field(default_factory=deque)
    _streams: dict[str, deque[tuple[int, int, bytes]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._order)

    def add(self, stream: str, epoch: int, sequence: int, body: bytes) -> None:
        """Keep a decision, the latest of its stream."""
        self._order.append(stream)
        self._streams.setdefault(stream, deque()).append((epoch, sequence, body))
        self.held_bytes += _OVERHEAD_BYTES + len(body)
        while self.held_bytes > self.limit_bytes:
            self._drop()

    def after(self, stream: str, epoch: int, sequence: int, most: int) -> list[bytes]:
        """Return the bodies of what followed a decision of a stream, the first `most` of them.

        Where nothing is held of that epoch, all that is held of the stream follows it.
        """
        held = self._streams.get(stream, deque())
        begin = 0
        # From the back: what is asked for has mostly been published just now.
        for place, (of_epoch, number, _) in zip(
            range(len(held) - 1, -1, -1), reversed(held), strict=True
        ):
            if of_epoch == epoch:
                begin = place
                if number <= sequence:
                    begin += 1
                    break
            elif begin:
                break
        return [body for _, _, body in islice(held, begin, begin + most)]

    def stands(self) -> Iterator[tuple[str, int, int]]:
        """Yield the stream, the epoch and the sequence of the last decision of each stream held."""
        for stream, held in self._streams.items():
            epoch, sequence, _ = held[-1]
            yield stream, epoch, sequence

    def save(self) -> tuple[Entry, ...]:
        """Return all that is held, in the order in which it came."""
        return tuple(self._entries())

    def load(self, entries: Iterable[Entry]) -> None:
        """Take what was saved in the place of what is held, as far as there is room."""
        self._order.clear()
        self._streams.clear()
        self.held_bytes = 0
        for entry in entries:
            self.add(*entry)

    def _entries(self) -> Iterator[Entry]:
        heads = {stream: iter(held) for stream, held in self._streams.items()}
        for stream in self._order:
            yield (stream, *next(heads[stream]))

    def _drop(self) -> None:
        stream = self._order.popleft()
        held = self._streams[stream]
        _, _, body = held.popleft()
        self.held_bytes -= _OVERHEAD_BYTES + len(body)
        if not held:
            del self._streams[stream]
