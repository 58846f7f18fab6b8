"""What a service says about itself: one JSON line an event, on standard error."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TextIO

import msgspec

Level = Literal["info", "warning", "error"]


@dataclass(slots=True)
class EventLog:
    """Writes JSON lines, of each kind of warning or error at most one in `interval_s`.

    Every line carries how many of its kind were held back since the last, so none is unheard of.
    """

    out: TextIO = field(default_factory=lambda: sys.stderr)
    interval_s: float = 1.0
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    _last_s: dict[str, float] = field(default_factory=dict)
    _held_back: dict[str, int] = field(default_factory=dict)

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
        now_s = self.clock()
        last_s = self._last_s.get(event)
        if last_s is not None and now_s - last_s < self.interval_s:
            self._held_back[event] = self._held_back.get(event, 0) + 1
            return
        self._last_s[event] = now_s
        self._write(level, event, fields | {"held_back": self._held_back.pop(event, 0)})

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        line = {"time_s": round(self.wall_clock(), 3), "level": level, "event": event} | fields
        # A full disk or a closed pipe silences the log; it must not stop what is logged.
        with suppress(OSError):
            self.out.write(msgspec.json.encode(line).decode() + "\n")
            self.out.flush()
