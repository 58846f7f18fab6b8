"""Events to EVT2 and EVT3 words: compiled kernels beside their plain twins.

A kernel encodes events from `begin` on until they end, `out` is full or a silence asks for more
than one word of TIME_HIGH; it returns the next event and the number of words.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, Polarities, Times
from retempo.sensors.evt.clock import BITS_2, BITS_3, UNIT_2, UNIT_3

Written = NDArray[np.int64]

# What is carried on: TIME_HIGH with its wraps, the lower bits of the time, and the row.
HIGH: Final = 0
LOW: Final = 1
ROW: Final = 2
# The most words of one event (EVT3: TIME_HIGH, TIME_LOW, row, base and a vector of three).
MOST_WORDS = 7
VECTOR_PIXELS = 32
# A vector takes four words, single events one each.
LEAST_IN_VECTOR = 5


def nothing_written() -> Written:
    """Return the state before the first event; its TIME_HIGH must be written first."""
    return np.full(3, -1, np.int64)


def time_highs(high: int, target: int, bits: int) -> list[int]:
    """Return the values of TIME_HIGH that lead every decoder from one to another.

    No step is longer than half of the clock's range, and each wrap goes from its last value to 0.
    Before the first (`high` is -1) the target alone, or half of the range on the way to it.
    """
    size, half = 1 << bits, 1 << (bits - 1)
    if high < 0:
        return [half, target % size] if target % size > half else [target % size]
    steps = []
    while high != target:
        last = high | (size - 1)
        high = high + 1 if high == last else min(target, last, high + half)
        steps.append(high % size)
    return steps


@njit(cache=True, nogil=True)
def encode_evt2(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    begin: int,
    width: int,  # noqa: ARG001  (both kernels are called alike)
    written: Written,
    out: NDArray[np.uint32],
) -> Any:  # pragma: no cover - compiled
    """Encode EVT2: a TIME_HIGH wherever it changes, and a word for each event."""
    words, i = 0, begin
    while i < len(t_us) and words + MOST_WORDS <= len(out):
        high = t_us[i] >> UNIT_2
        if high != written[HIGH]:
            if not _one_step(written[HIGH], high, BITS_2):
                break
            out[words] = (8 << 28) | (high & ((1 << BITS_2) - 1))
            words += 1
            written[HIGH] = high
        address = (np.int64(x[i]) << 11) | y[i]
        out[words] = (np.int64(on[i]) << 28) | ((t_us[i] & 63) << 22) | address
        words += 1
        i += 1
    return i, words


@njit(cache=True, nogil=True)
def _one_step(high: int, target: int, bits: int) -> bool:  # pragma: no cover - compiled
    """Whether one TIME_HIGH leads from one value to another, see `time_highs`."""
    if high < 0:
        return False
    return target == high + 1 or (target >> bits == high >> bits and target - high <= 1 << bits - 1)


@njit(cache=True, nogil=True)
def encode_evt3(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    begin: int,
    width: int,
    written: Written,
    out: NDArray[np.uint16],
) -> Any:  # pragma: no cover - compiled
    """Encode EVT3: what changes, then single events, or vectors where these are shorter.

    A vector holds events of one time, row and polarity in the order of x, all of it on the sensor.
    """
    words, i, size = 0, begin, len(t_us)
    while i < size and words + MOST_WORDS <= len(out):
        high, low = t_us[i] >> UNIT_3, t_us[i] & ((1 << UNIT_3) - 1)
        if high != written[HIGH]:
            if not _one_step(written[HIGH], high, BITS_3):
                break
            out[words] = 0x8000 | (high & 0xFFF)
            words += 1
            written[HIGH], written[LOW] = high, -1
        if low != written[LOW]:
            out[words] = 0x6000 | low
            words += 1
            written[LOW] = low
        if y[i] != written[ROW]:
            out[words] = y[i]
            words += 1
            written[ROW] = y[i]
        base: Any = min(np.int64(x[i]), np.int64(width - VECTOR_PIXELS))
        end, mask = i + 1, 1 << (x[i] - base)
        # Duplicates and a way back need words of their own.
        while base >= 0 and end < size and x[end] > x[end - 1] and x[end] < base + VECTOR_PIXELS:
            if t_us[end] != t_us[i] or y[end] != y[i] or on[end] != on[i]:
                break
            mask |= 1 << (x[end] - base)
            end += 1
        polarity = np.int64(on[i]) << 11
        if end - i >= LEAST_IN_VECTOR:
            out[words] = 0x3000 | polarity | base
            out[words + 1] = 0x4000 | (mask & 0xFFF)
            out[words + 2] = 0x4000 | ((mask >> 12) & 0xFFF)
            out[words + 3] = 0x5000 | (mask >> 24)
            words += 4
            i = end
        else:
            out[words] = 0x2000 | polarity | x[i]
            words += 1
            i += 1
    return i, words


def encode_plain(
    version: str,
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    width: int,
    written: Written,
) -> list[int]:
    """Return the words of all events: the plain twin of the kernels and of their silences."""
    bits, unit = (BITS_3, UNIT_3) if version == "3" else (BITS_2, UNIT_2)
    words: list[int] = []
    events = list(zip(t_us.tolist(), y.tolist(), on.tolist(), x.tolist(), strict=True))
    while events:
        t, row, polarity, column = events[0]
        high, low = t >> unit, t % (1 << unit)
        if high != written[HIGH]:
            prefix = 8 << (12 if version == "3" else 28)
            words += [prefix | step for step in time_highs(int(written[HIGH]), high, bits)]
            written[HIGH], written[LOW] = high, -1
        if version == "2":
            words.append(polarity << 28 | low << 22 | column << 11 | row)
            events.pop(0)
            continue
        if low != written[LOW]:
            words.append(0x6000 | low)
        if row != written[ROW]:
            words.append(row)
        written[LOW], written[ROW] = low, row
        base = min(column, width - VECTOR_PIXELS)
        columns = [column]
        for event in events[1:] if base >= 0 else []:
            if event[:3] != events[0][:3] or not columns[-1] < event[3] < base + VECTOR_PIXELS:
                break
            columns.append(event[3])
        if len(columns) < LEAST_IN_VECTOR:
            words.append(0x2000 | polarity << 11 | column)
            events.pop(0)
            continue
        mask = sum(1 << (each - base) for each in columns)
        pixels = [0x4000 | mask % 4096, 0x4000 | (mask >> 12) % 4096, 0x5000 | mask >> 24]
        words += [0x3000 | polarity << 11 | base, *pixels]
        events = events[len(columns) :]
    return words
