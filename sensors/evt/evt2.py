"""EVT2 and EVT2.1 words to packed events.

EVT2: words of 32 bits: the type in 4 bits (0 off, 1 on, 8 TIME_HIGH), the lower 6 bits of the time,
x and y in 11 bits each. EVT2.1: words of 64 bits: the upper half is such a word, and the lower half
says which of the 32 pixels from x on it is about.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.evt.clock import (
    BITS_2,
    MOST_AT_ONCE,
    MOST_WRAPS_2,
    UNIT_2,
    append,
    bits_set,
    forward,
    note,
    time_high,
    timeless,
)
from retempo.sensors.evt.packed import ON_AT, TIME_AT, Words
from retempo.sensors.evt.state import (
    HIGH,
    LAST,
    TIME_BACK,
    UNKNOWN,
    UNSURE,
    Found,
    State,
)


@njit(cache=True, nogil=True)
def pack_evt2(
    words: NDArray[np.uint32], begin: int, state: State, found: Found, packed: Words
) -> Any:  # pragma: no cover - compiled
    """Decode EVT2; the time counts from the last wrap before the block."""
    size, room = len(words), len(packed) - MOST_AT_ONCE
    wraps = max(state[HIGH], 0) >> BITS_2
    base_us = wraps << (BITS_2 + UNIT_2)
    i, events = begin, 0
    while i < size and events <= room and (state[HIGH] >> BITS_2) - wraps < MOST_WRAPS_2:
        if state[HIGH] >= 0 and not state[UNSURE]:
            end = min(size, i + room - events + 1)
            high = np.uint64((state[HIGH] << UNIT_2) - base_us)
            first, started = i, events
            for j in range(np.uint64(i), np.uint64(end)):
                event = np.uint64(words[j])
                if event >= np.uint64(0x20000000):
                    break
                time = high + ((event >> np.uint64(22)) & np.uint64(63))
                on = (event >> np.uint64(28)) << np.uint64(ON_AT)
                address = on | (event & np.uint64(0x3FFFFF))
                packed[np.uint64(events)] = np.int64((time << np.uint64(TIME_AT)) | address)
                events += 1
                i += 1
            if not forward(packed, started, events, state[LAST] - base_us):
                _note_steps_back(packed, started, events, first, base_us, state, found)
            if events > started:
                state[LAST] = base_us + (packed[events - 1] >> TIME_AT)
            if i >= end:
                continue
        word = np.int64(words[i])
        kind = word >> 28
        if kind == 0x8:
            time_high(word & 0xFFFFFFF, BITS_2, UNIT_2, i, events, state, found)
        elif kind <= 1:
            timeless(1, i, events, state, found)
        elif kind != 0xA and kind != 0xE and kind != 0xF:
            note(found, UNKNOWN, events, i, 1, kind, 0)
        i += 1
    return i, events


@njit(cache=True, nogil=True)
def _note_steps_back(
    packed: Words, begin: Any, end: Any, at: Any, base_us: Any, state: State, found: Found
) -> None:  # pragma: no cover - compiled
    """Count every event before the one before it, where each word is an event."""
    last = state[LAST]
    for k in range(begin, end):
        time_us = base_us + (packed[k] >> TIME_AT)
        if time_us < last:
            note(found, TIME_BACK, k, at + k - begin, 1, last, time_us)
        last = time_us


@njit(cache=True, nogil=True)
def pack_evt21(
    words: NDArray[np.uint64], begin: int, state: State, found: Found, packed: Words
) -> Any:  # pragma: no cover - compiled
    """Decode EVT2.1; the time counts from the last wrap before the block."""
    size, room = len(words), len(packed) - MOST_AT_ONCE
    wraps = max(state[HIGH], 0) >> BITS_2
    base_us = wraps << (BITS_2 + UNIT_2)
    i, events = begin, 0
    while i < size and events <= room and (state[HIGH] >> BITS_2) - wraps < MOST_WRAPS_2:
        upper, mask = np.int64(words[i] >> np.uint64(32)), np.int64(words[i] & np.uint64(2**32 - 1))
        kind = upper >> 28
        if kind <= 1 and state[HIGH] >= 0 and not state[UNSURE]:
            time_us = (state[HIGH] << UNIT_2) | ((upper >> 22) & 63)
            address = (kind << ON_AT) | (upper & 0x3FFFFF)
            events = append(time_us, base_us, address, mask, i, events, state, found, packed)
        elif kind <= 1:
            timeless(bits_set(mask), i, events, state, found)
        elif kind == 0x8:
            time_high(upper & 0xFFFFFFF, BITS_2, UNIT_2, i, events, state, found)
        elif kind != 0xA and kind != 0xE and kind != 0xF:
            note(found, UNKNOWN, events, i, 1, kind, 0)
        i += 1
    return i, events
