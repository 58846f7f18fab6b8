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


def test_a_noisy_stream_silences_no_other() -> None:
    out, clock = StringIO(), Clock()
    log = EventLog(out=out, clock=clock)
    for _ in range(100):
        log.warning("gap", stream="noisy")
    log.warning("gap", stream="quiet")
    clock.now_s = 1.0
    log.warning("gap", stream="quiet")
    log.warning("gap", stream="noisy")
    told = [(line["stream"], line["held_back"]) for line in lines(out)]
    assert told == [("noisy", 0), ("quiet", 0), ("quiet", 0), ("noisy", 99)]


def test_a_flood_of_names_is_bounded_in_lines_and_in_what_is_kept_and_counted() -> None:
    """As from an attacker who thinks of a new name for every message."""
    out, clock = StringIO(), Clock()
    log = EventLog(out=out, clock=clock)
    for k in range(10_000):
        log.warning("refused", stream=f"name {k}")
    log.warning("gap", stream="name 9999")
    assert len(lines(out)) == 17
    clock.now_s = 1.0
    log.warning("refused", stream="another")
    assert lines(out)[-1]["held_back_elsewhere"] == 10_000 - 16
    for k in range(1, 1_000):
        clock.now_s += 1.0
        for name in range(16):
            log.warning("refused", stream=f"name {k} {name}")
            log.warning("refused", stream=f"name {k} {name}")
    assert len(log._seen) == 4_096
    clock.now_s += 1.0
    log.warning("refused", stream="last")
    written = [line for line in lines(out) if line["event"] == "refused"]
    held = sum(line["held_back"] + line.get("held_back_elsewhere", 0) for line in written)
    kept = sum(seen.held_back for seen in log._seen.values())
    assert len(written) + held + kept == 10_000 + 1 + 999 * 32 + 1


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
