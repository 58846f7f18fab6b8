"""What a service says about itself: one JSON line an event, on standard error."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TextIO

import msgspec

Level = Literal["info", "warning", "error"]
Key = tuple[str, str]

# So many streams may have a line of the same kind in one interval, and so many keys are kept.
_STREAMS_A_KIND = 16
_KEYS = 4_096
# Who holds the lock writes to a pipe that nobody reads: what else is to be said does not wait.
_LOCK_S = 0.5


@dataclass(slots=True)
class _Seen:
    """When a line was last written, and how many were held back since."""

    last_s: float
    held_back: int = 0


@dataclass(slots=True)
class _Kind:
    """The interval that a kind of event is in: lines written, and those held back beyond."""

    began_s: float
    lines: int = 0
    held_back: int = 0


@dataclass(slots=True)
class EventLog:
    """Writes JSON lines, of each kind of warning or error at most one in `interval_s` a stream.

    A stream is what the field `stream` names; lines without one are as of one more stream. So no
    stream silences another. Of all streams together a kind has at most 16 lines in `interval_s`,
    however many names there are. Every line carries how many of its kind and stream were held back
    since the last, and `held_back_elsewhere` those of the kind beyond the 16 or of streams that are
    forgotten: so none is unheard of. May be used from several threads.
    """

    out: TextIO = field(default_factory=lambda: sys.stderr)
    interval_s: float = 1.0
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    _seen: dict[Key, _Seen] = field(default_factory=dict)
    _kinds: dict[str, _Kind] = field(default_factory=dict)
    _state: threading.Lock = field(default_factory=threading.Lock)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def info(self, event: str, **fields: object) -> None:
        """Write a line that is never held back: use it for what happens rarely."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write that something was wrong outside, and was dealt with."""
        self._limited("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write that something was wrong here."""
        self._limited("error", event, fields)

    def _limited(self, level: Level, event: str, fields: dict[str, object]) -> None:
        counts = self._may_write(event, str(fields.get("stream", "")))
        if counts is not None:
            self._write(level, event, fields | counts)

    def _may_write(self, event: str, stream: str) -> dict[str, int] | None:
        """Return the counts of what was held back, None if this is held back too."""
        with self._state:
            return self._judge(self.clock(), event, stream)

    def _judge(self, now_s: float, event: str, stream: str) -> dict[str, int] | None:
        key = (event, stream)
        kind = self._kinds.setdefault(event, _Kind(now_s))
        if now_s - kind.began_s >= self.interval_s:
            kind.began_s, kind.lines = now_s, 0
        seen = self._seen.get(key)
        if seen is not None and now_s - seen.last_s < self.interval_s:
            seen.held_back += 1
            return None
        if kind.lines >= _STREAMS_A_KIND:
            kind.held_back += 1
            return None
        kind.lines += 1
        # The oldest key is the first: a key that is used again moves to the end.
        self._seen.pop(key, None)
        self._seen[key] = _Seen(now_s)
        while len(self._seen) > _KEYS:
            self._forget_oldest()
        counts = {"held_back": 0 if seen is None else seen.held_back}
        if kind.held_back:
            counts["held_back_elsewhere"], kind.held_back = kind.held_back, 0
        return counts

    def _forget_oldest(self) -> None:
        event, stream = next(iter(self._seen))
        self._kinds[event].held_back += self._seen.pop((event, stream)).held_back

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        line = {"time_s": round(self.wall_clock(), 3), "level": level, "event": event} | fields
        text = msgspec.json.encode(line).decode() + "\n"
        locked = self._lock.acquire(timeout=_LOCK_S)
        try:
            # A full disk or a closed pipe silences the log; it must not stop what is logged.
            with suppress(OSError):
                self.out.write(text)
                self.out.flush()
        finally:
            if locked:
                self._lock.release()
