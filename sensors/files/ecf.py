"""ECF, the compression of Prophesee's HDF5 files (filter 0x8ECF): a chunk of bytes to events.

A chunk begins with a little-endian u32, the number of events above two bits that say how addresses
are packed, and the u64 time of its first event. Times follow as bytes: a step in the high four bits
and how many events share it in the low four (15: a u16 count follows); a step of 15 carries four
bits of a longer one, lowest first. Then, packed together: four events in three u32, 11 bits of y,
11 of x and the polarity in 24 bits each; or else y as u16 runs (11 bits and a count of 5, 31: a u16
count follows), then x and polarity of four events in three u16, 11 bits and one in 12 bits each; or
else x as u16 (11 bits and a mask of the five pixels to its right), then polarities as runs in bytes
(one bit and a count of 7, 127: a u16 count follows).

Source: Prophesee's description of its HDF5 files and the codec published with it.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError

FILTER = 0x8ECF
_HEAD_BYTES = 12
# The format's own limit for a chunk.
_MOST_EVENTS = 65_535


def decode_ecf(data: bytes) -> dict[str, NDArray[np.generic]]:
    """Decode a chunk to the raw columns `t` (uint64), `x`, `y` (uint16) and `on` (uint8).

    Raises:
        RecordingError: the bytes are no such chunk.
    """
    if len(data) < _HEAD_BYTES:
        raise RecordingError(f"{len(data)} bytes are no ECF chunk")
    events = int.from_bytes(data[:4], "little") >> 2
    if events > _MOST_EVENTS:
        raise RecordingError(f"it states {events} events, ECF has up to {_MOST_EVENTS} a chunk")
    t, x, y = np.zeros(events, np.uint64), np.zeros(events, np.uint16), np.zeros(events, np.uint16)
    on = np.zeros(events, np.uint8)
    if not _decode(np.frombuffer(data, np.uint8), t, x, y, on):
        raise RecordingError(f"its ECF bytes end before or go on after {events} events")
    return {"t": t, "x": x, "y": y, "on": on}


@njit(cache=True, nogil=True)
def _decode(
    data: NDArray[np.uint8],
    t: NDArray[np.uint64],
    x: NDArray[np.uint16],
    y: NDArray[np.uint16],
    on: NDArray[np.uint8],
) -> bool:
    at = _times(data, t)
    if at < 0:
        return False
    if data[0] & 2:
        return _packed_24(data, at, x, y, on)
    at = _rows(data, at, y)
    if at < 0:
        return False
    if data[0] & 1:
        return _packed_12(data, at, x, on)
    at = _masked(data, at, x)
    return at >= 0 and _runs(data, at, on)


@njit(cache=True, nogil=True)
def _times(data: NDArray[np.uint8], t: NDArray[np.uint64]) -> int:
    """The place behind the times, -1 where the bytes do not hold them; so the others."""
    now = np.uint64(0)
    for place in range(8):
        now |= np.uint64(data[4 + place]) << np.uint64(8 * place)
    at, event, size = _HEAD_BYTES, 0, len(data)
    while event < len(t):
        if at >= size:
            return -1
        step, count = _u8(data, at) >> 4, _u8(data, at) & 15
        if step != 15:
            now += np.uint64(step)
            if count == 15:
                if at + 2 >= size:
                    return -1
                count = _u16(data, at + 1)
                at += 2
            at += 1
            if event + count > len(t):
                return -1
            t[event : event + count] = now
            event += count
            continue
        longer, shift = np.uint64(0), 0
        while step == 15:
            if shift < 64:
                longer |= np.uint64(count) << np.uint64(shift)
            shift += 4
            at += 1
            if at >= size:
                return -1
            step, count = _u8(data, at) >> 4, _u8(data, at) & 15
        now += longer
    return at


@njit(cache=True, nogil=True)
def _rows(data: NDArray[np.uint8], at: int, y: NDArray[np.uint16]) -> int:
    event = 0
    while event < len(y):
        if at + 1 >= len(data):
            return -1
        word = _u16(data, at)
        at += 2
        count = word & 31
        if count == 31:
            if at + 1 >= len(data):
                return -1
            count = _u16(data, at)
            at += 2
        if event + count > len(y):
            return -1
        y[event : event + count] = word >> 5
        event += count
    return at


@njit(cache=True, nogil=True)
def _masked(data: NDArray[np.uint8], at: int, x: NDArray[np.uint16]) -> int:
    event = 0
    while event < len(x):
        if at + 1 >= len(data):
            return -1
        word = _u16(data, at)
        at += 2
        x[event] = word >> 5
        event += 1
        # The last word's mask may name pixels beyond the last event.
        for right in range(5):
            if word & (16 >> right) and event < len(x):
                x[event] = (word >> 5) + right + 1
                event += 1
    return at


@njit(cache=True, nogil=True)
def _runs(data: NDArray[np.uint8], at: int, on: NDArray[np.uint8]) -> bool:
    event = 0
    while event < len(on):
        if at >= len(data):
            return False
        value, count = _u8(data, at) >> 7, _u8(data, at) & 127
        if count == 127:
            if at + 2 >= len(data):
                return False
            count = _u16(data, at + 1)
            at += 2
        at += 1
        if event + count > len(on):
            return False
        on[event : event + count] = value
        event += count
    return True


@njit(cache=True, nogil=True)
def _packed_12(
    data: NDArray[np.uint8], at: int, x: NDArray[np.uint16], on: NDArray[np.uint8]
) -> bool:
    for start in range(0, len(x), 4):
        if at + 6 > len(data):
            return False
        bits = 0
        for _ in range(3):
            bits = bits << 16 | _u16(data, at)
            at += 2
        # Each of the first three is cut: its low bits end a word, its high bits begin one.
        first, second = bits >> 36, (bits >> 32 & 15) | (bits >> 24 & 255) << 4
        third, fourth = (bits >> 16 & 255) | (bits >> 12 & 15) << 8, bits & 4095
        for place, value in enumerate((first, second, third, fourth)):
            if start + place < len(x):
                x[start + place] = value >> 1
                on[start + place] = value & 1
    return True


@njit(cache=True, nogil=True)
def _packed_24(
    data: NDArray[np.uint8],
    at: int,
    x: NDArray[np.uint16],
    y: NDArray[np.uint16],
    on: NDArray[np.uint8],
) -> bool:
    for start in range(0, len(x), 4):
        if at + 12 > len(data):
            return False
        a, b, c = _u32(data, at), _u32(data, at + 4), _u32(data, at + 8)
        at += 12
        values = (
            a >> 8,
            (a & 255) | (b >> 16) << 8,
            (b & 65_535) | (c >> 24) << 16,
            c & 16_777_215,
        )
        for place, value in enumerate(values):
            if start + place < len(x):
                y[start + place] = value >> 12 & 2_047
                x[start + place] = value >> 1 & 2_047
                on[start + place] = value & 1
    return True


@njit(cache=True, nogil=True)
def _u32(data: NDArray[np.uint8], at: int) -> int:
    return _u16(data, at) | _u16(data, at + 2) << 16


@njit(cache=True, nogil=True)
def _u16(data: NDArray[np.uint8], at: int) -> int:
    return _u8(data, at) | _u8(data, at + 1) << 8


@njit(cache=True, nogil=True)
def _u8(data: NDArray[np.uint8], at: int) -> int:
    # Signed, since a mix of signed and unsigned numbers would become floating ones.
    value: int = np.int64(data[at])  # type: ignore[assignment]
    return value
