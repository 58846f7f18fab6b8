"""EVT3 bytes written by hand from the table of the format, one event every 3 us."""

import struct

HEADER = b"% camera of a test\n% evt 3.0\n% geometry 640x480\n% end\n"
_STEP_US = 3


def evt3_times(events: int) -> list[int]:
    assert events * _STEP_US < 4_096
    return [_STEP_US * number for number in range(events)]


def evt3_bytes(events: int) -> bytes:
    """One TIME_HIGH, then a TIME_LOW, a row and a pixel for each event."""
    words = [0x8000]
    for t_us in evt3_times(events):
        words += [0x6000 | t_us, t_us % 480, 0x2000 | t_us % 640]
    return struct.pack(f"<{len(words)}H", *words)
