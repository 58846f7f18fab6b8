from dataclasses import dataclass
from io import StringIO
from typing import Any

import msgspec

from retempo.runtime.event_log import EventLog


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def lines(out: StringIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in out.getvalue().splitlines()]


def test_a_flood_of_one_kind_becomes_a_line_a_second_that_counts_the_rest() -> None:
    out, clock = StringIO(), Clock()
    log = EventLog(out=out, clock=clock, wall_clock=lambda: 7.0)
    for _ in range(10):
        log.warning("malformed", reason="x")
    log.warning("gap")
    clock.now_s = 1.0
    log.warning("malformed", reason="y")
    assert lines(out) == [
        {"time_s": 7.0, "level": "warning", "event": "malformed", "reason": "x", "held_back": 0},
        {"time_s": 7.0, "level": "warning", "event": "gap", "held_back": 0},
        {"time_s": 7.0, "level": "warning", "event": "malformed", "reason": "y", "held_back": 9},
    ]


class FullDisk(StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    EventLog(out=FullDisk()).info("opened")


def test_what_happens_rarely_is_never_held_back() -> None:
    out = StringIO()
    log = EventLog(out=out, clock=Clock())
    for k in range(3):
        log.info("opened", stream=f"line\n{k}")
    assert [line["stream"] for line in lines(out)] == ["line\n0", "line\n1", "line\n2"]
