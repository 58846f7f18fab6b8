"""The bounded queue between the thread that reads a device and whoever takes its chunks."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Condition
from typing import Literal, get_args

from retempo.sensors.events import EventChunk
from retempo.sensors.problems import total

# block: the reader waits for room, and so does who sends to it. shed_oldest: what has waited
# longest is dropped and counted.
Overload = Literal["block", "shed_oldest"]
OVERLOADS: tuple[Overload, ...] = get_args(Overload)

# 13 MB of grid events.
MOST_EVENTS = 1 << 20
# Chunks of few events are bounded by their number.
_MOST_CHUNKS = 4_096
_LOOK_S = 0.01


class ChunkQueue:
    """Chunks in their order, at most `most_events` events (or one chunk that holds more)."""

    def __init__(self, overload: Overload, most_events: int = MOST_EVENTS) -> None:
        self._overload = overload
        self._most_events = most_events
        self._chunks: deque[EventChunk] = deque()
        self._events = 0
        self._changed = Condition()

    def put(self, chunk: EventChunk, stopping: Callable[[], bool]) -> None:
        """Add a chunk; under `block` this waits for room, or until `stopping`."""
        with self._changed:
            while self._overload == "block" and self._full(chunk) and not stopping():
                self._changed.wait(_LOOK_S)
            self._append(chunk)
            while self._overload == "shed_oldest" and len(self._chunks) > 1 and self._overfull():
                self._shed()
            self._changed.notify_all()

    def get(self, timeout_s: float) -> EventChunk | None:
        """Take the oldest chunk, None where there is none within the time."""
        with self._changed:
            if not self._chunks:
                self._changed.wait(timeout_s)
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._events -= len(chunk)
            self._changed.notify_all()
            return chunk

    def _full(self, chunk: EventChunk) -> bool:
        too_many = self._events + len(chunk) > self._most_events
        return bool(self._chunks) and (too_many or len(self._chunks) >= _MOST_CHUNKS)

    def _overfull(self) -> bool:
        return self._events > self._most_events or len(self._chunks) > _MOST_CHUNKS

    def _append(self, chunk: EventChunk) -> None:
        if self._chunks and not len(chunk) and not len(self._chunks[-1]):
            # Silence that waits is one piece of silence, however long it waits.
            before = self._chunks.pop()
            chunk = _with_counts(chunk, before.lost, before.problems)
        self._chunks.append(chunk)
        self._events += len(chunk)

    def _shed(self) -> None:
        oldest = self._chunks.popleft()
        self._events -= len(oldest)
        counts = total([oldest.problems, {"shed": len(oldest)}]) if len(oldest) else oldest.problems
        self._chunks[0] = _with_counts(self._chunks[0], oldest.lost + len(oldest), counts)


def _with_counts(chunk: EventChunk, lost: int, problems: Mapping[str, int]) -> EventChunk:
    return replace(chunk, lost=chunk.lost + lost, problems=total([problems, chunk.problems]))
