"""Datagrams of address events: the layouts that SPIF, AEStream and faery send, decoded.

Everything here is pure; `sensors.network.udp` owns the socket. All numbers are little-endian.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import Columns, join, no_events
from retempo.sensors.problems import NO_PROBLEMS, Problems, both, problem

Words = NDArray[np.uint32]
NO_TIME = -1


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of datagrams; `decode` gives times as they are sent, `NO_TIME` where none is.

    `bits` is how many a timestamp has: it wraps there.
    """

    name: str
    about: str
    bits: int
    decode: Callable[[bytes], Columns]


def decode_aer(data: bytes) -> Columns:
    """Decode 32-bit words as SPIF takes and AEStream sends them.

    Bit 31: 1 without, 0 with a timestamp; bits 30-16: x; bit 15: polarity; bits 14-0: y. With a
    timestamp, the next word is the time in us, modulo 2^32.
    """
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    timed = words >> 31 == 0
    if not timed.any():
        columns = _addresses(words)
    elif len(words) % 2 == 0 and timed[::2].all():
        columns = replace(_addresses(words[::2]), t_us=words[1::2].astype(np.int64))
    else:
        columns = _mixed(words, timed)
    ragged = _ragged(data, 4, "a word of 4 bytes", len(columns))
    return replace(columns, problems=both(columns.problems, ragged)) if ragged else columns


def decode_t64(data: bytes) -> Columns:
    """Decode faery's `t64_x16_y16_on8`: 13 bytes an event, the time in us."""
    kind = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "u1")])
    events = np.frombuffer(data[: len(data) // 13 * 13], kind)
    return Columns(
        # Beyond 2^61 no time is told from another; the sign is left out, so that none is negative.
        (events["t"] & (2**61 - 1)).astype(np.int64),
        events["x"].astype(np.uint16),
        events["y"].astype(np.uint16),
        events["on"] != 0,
        _ragged(data, 13, "an event of 13 bytes", len(events)),
    )


def decode_t32(data: bytes) -> Columns:
    """Decode faery's `t32_x16_y15_on1`: 8 bytes an event, the time in us modulo 2^32."""
    kind = np.dtype([("t", "<u4"), ("x", "<u2"), ("y_on", "<u2")])
    events = np.frombuffer(data[: len(data) // 8 * 8], kind)
    return Columns(
        events["t"].astype(np.int64),
        events["x"].astype(np.uint16),
        (events["y_on"] >> 1).astype(np.uint16),
        events["y_on"] & 1 == 1,
        _ragged(data, 8, "an event of 8 bytes", len(events)),
    )


LAYOUTS: Mapping[str, Layout] = {
    each.name: each
    for each in (
        Layout("aer", "32-bit words of SPIF and AEStream", 32, decode_aer),
        Layout("t64_x16_y16_on8", "13 bytes an event, of faery", 64, decode_t64),
        Layout("t32_x16_y15_on1", "8 bytes an event, of faery", 32, decode_t32),
    )
}


def decode_datagrams(layout: Layout, datagrams: Sequence[bytes]) -> Columns:
    """Decode datagrams in their order; an empty one is malformed."""
    pieces = [
        layout.decode(data) if data else no_events(problem("malformed", "the datagram is empty", 0))
        for data in datagrams
    ]
    return join(pieces) if pieces else no_events()


def unwrapped(t_us: NDArray[np.int64], last_us: int | None, bits: int) -> NDArray[np.int64]:
    """Return times that wrap at `bits` as times that go on; each step is the shorter way round.

    Shapes: `(events,)`. Units: us. `last_us` is the last unwrapped time before, None at the start.
    """
    if bits >= 62 or len(t_us) == 0:
        return t_us
    wrap = 1 << bits
    steps = np.diff(t_us, prepend=t_us[0] if last_us is None else last_us)
    steps = (steps + wrap // 2) % wrap - wrap // 2
    start = int(t_us[0]) if last_us is None else last_us
    gone: NDArray[np.int64] = start + np.cumsum(steps)
    return gone


def _addresses(words: Words) -> Columns:
    return Columns(
        np.full(len(words), NO_TIME, np.int64),
        (words >> 16 & 0x7FFF).astype(np.uint16),
        (words & 0x7FFF).astype(np.uint16),
        words >> 15 & 1 == 1,
    )


def _mixed(words: Words, timed: NDArray[np.bool_]) -> Columns:
    """Decode words of which some are followed by a time, one after the other."""
    places: list[int] = []
    times: list[int] = []
    problems = NO_PROBLEMS
    at = 0
    while at < len(words):
        with_time = bool(timed[at])
        if with_time and at + 1 == len(words):
            problems = problem("malformed", "the last event lacks its timestamp", len(places))
            break
        places.append(at)
        times.append(int(words[at + 1]) if with_time else NO_TIME)
        at += 2 if with_time else 1
    columns = _addresses(words[np.array(places, np.int64)])
    return replace(columns, t_us=np.array(times, np.int64), problems=problems)


def _ragged(data: bytes, size: int, what: str, kept: int) -> Problems:
    rest = len(data) % size
    if not rest:
        return NO_PROBLEMS
    return problem("malformed", f"the datagram ends {rest} bytes into {what}", kept)
