"""EVT3 words to packed events.

Words of 16 bits, their type in the upper four: rows (0), single events (2), the base of vectors (3)
and their pixels (4: twelve, 5: eight), the lower and upper bits of the time (6, 8), triggers (a),
and what the sensor says of itself (e, continued by f and 7). Cameras send pixels as 12 + 12 + 8.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.evt.clock import (
    BITS_3,
    MOST_AT_ONCE,
    MOST_WRAPS_3,
    UNIT_3,
    append,
    bits_set,
    forward,
    note,
    time_high,
    timeless,
)
from retempo.sensors.evt.packed import ON_AT, TIME_AT, X_BITS, Y_BITS, Y_MASK, Words
from retempo.sensors.evt.state import (
    AWAITED,
    BASE,
    BASE_ON,
    BROKEN,
    FIRST_CONTINUED,
    HIGH,
    LAST,
    LOW,
    NO_BASE,
    NO_ROW,
    NONE,
    NOTHING,
    OUTSIDE,
    PARTIAL_CONTINUED,
    PARTIAL_VECTOR,
    SECOND_12,
    SECOND_CONTINUED,
    THIRD_8,
    THIRD_CONTINUED,
    TICKS,
    UNKNOWN,
    UNSURE,
    Found,
    State,
    Y,
)


def _rules() -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """By the type of an EVT3 word: what of the packed state stays, what of the word enters, where.

    Where TIME_HIGH changes nothing, words of all other types leave the state as it is.
    """
    stays = np.full(16, 2**64 - 1, np.uint64)
    enters, place = np.zeros(16, np.uint64), np.zeros(16, np.uint64)
    for kind, mask, at in [(0x0, Y_MASK, 0), (0x2, 0xFFF, Y_BITS), (0x6, 0xFFF, TIME_AT)]:
        stays[kind] = (2**64 - 1) ^ (mask << at)
        enters[kind], place[kind] = mask, at
    return stays, enters, place


_STAYS, _ENTERS, _PLACE = _rules()
# Words are looked over so many at once.
_TILE = 64


@njit(cache=True, nogil=True)
def pack_evt3(
    words: NDArray[np.uint16], begin: int, state: State, found: Found, packed: Words
) -> Any:  # pragma: no cover - compiled
    """Decode EVT3; the time counts from the last wrap before the block.

    Ordinary words, of which nearly all streams consist, take a path without branches.
    """
    size, room = len(words), len(packed) - MOST_AT_ONCE
    wraps = max(state[HIGH], 0) >> 12
    i, events, doubtful = begin, 0, begin
    while i < size and events <= room and (state[HIGH] >> BITS_3) - wraps < MOST_WRAPS_3:
        sure = state[HIGH] >= 0 and state[Y] >= 0 and not state[UNSURE] and not state[AWAITED]
        if sure and i >= doubtful:
            end = min(size - 3, i + room - events + 1)
            end = _ordinary(words, i, end, np.uint16(0x8000 | (state[HIGH] & 0xFFF)), state[TICKS])
            if end > i:
                time = ((state[HIGH] - (wraps << 12)) << 12) | state[LOW]
                now = np.uint64((time << TIME_AT) | state[Y])
                after, more = _run(words, i, end, now, packed, events)
                if forward(packed, events, more, state[LAST] - (wraps << 24)):
                    state[Y] = np.int64(after) & Y_MASK
                    state[LOW] = (np.int64(after) >> TIME_AT) & 0xFFF
                    # A run without events leaves it: the clock may have been set back since.
                    if more > events:
                        state[LAST] = (wraps << 24) + (packed[more - 1] >> TIME_AT)
                    i, events = end, more
                    continue
                doubtful = end
        events = _word_evt3(np.int64(words[i]), i, events, wraps, state, found, packed)
        i += 1
    return i, events


@njit(cache=True, nogil=True)
def _ordinary(
    words: NDArray[np.uint16], begin: Any, end: Any, high: Any, ticks: Any
) -> Any:  # pragma: no cover - compiled
    """Return the end of the words from `begin` on that need no closer look."""
    i = begin
    while i < end:
        tile = words[i : min(i + _TILE, end) + 3]
        strange = 0
        for j in range(len(tile) - 3):
            strange |= _strange(tile[j], tile[j + 1], tile[j + 2], tile[j + 3], high, ticks)
        if strange:
            for j in range(len(tile) - 3):
                if _strange(tile[j], tile[j + 1], tile[j + 2], tile[j + 3], high, ticks):
                    return i + j
        i += len(tile) - 3
    return end


@njit(cache=True, nogil=True, inline="always")
def _strange(
    word: Any, second: Any, third: Any, fourth: Any, high: Any, ticks: Any
) -> Any:  # pragma: no cover - compiled
    """Whether a word needs a closer look; the sensor's own counts are four words in a row."""
    kind = word & 0xF000
    plain = (kind == 0) | (kind == 0x2000) | (kind == 0x6000) | ((word == high) & (ticks == 1))
    counted = (second >= 0xF000) & (third >= 0xF000) & ((fourth & 0xF000) == 0x7000)
    other = (kind == 0xE000) & (((word != 0xE014) & (word != 0xE016)) | counted)
    return not (plain | other | (kind == 0xF000) | (kind == 0x7000) | (kind == 0xA000))


@njit(cache=True, nogil=True)
def _run(
    words: NDArray[np.uint16], begin: Any, end: Any, now: Any, packed: Words, events: Any
) -> Any:  # pragma: no cover - compiled
    """Decode ordinary words; return the packed state behind them and the number of events."""
    place = np.uint64(events)
    for i in range(np.uint64(begin), np.uint64(end)):
        word = np.uint64(words[i])
        kind = word >> np.uint64(12)
        now = (now & _STAYS[kind]) | ((word & _ENTERS[kind]) << _PLACE[kind])
        packed[place] = np.int64(now)
        place += np.uint64(kind == np.uint64(2))
    return now, np.int64(place)


@njit(cache=True, nogil=True)
def _partial_vector(
    at: Any, events: Any, state: State, found: Found
) -> None:  # pragma: no cover - compiled
    """Count a group that is not 12, 12 and 8, which cameras send; writers of files send others."""
    if state[TICKS]:
        note(found, PARTIAL_VECTOR, events, at, 1, 0, 0)


@njit(cache=True, nogil=True)
def _word_evt3(
    word: Any, at: Any, events: Any, wraps: Any, state: State, found: Found, packed: Words
) -> Any:  # pragma: no cover - compiled
    """Decode any word of EVT3; return the number of events."""
    kind, value = word >> 12, word & 0xFFF
    awaited, state[AWAITED] = state[AWAITED], NOTHING
    if awaited in (SECOND_12, THIRD_8):
        if kind != (4 if awaited == SECOND_12 else 5):
            _partial_vector(at, events, state, found)
            awaited = BROKEN
    elif awaited != NOTHING and kind != (7 if awaited == THIRD_CONTINUED else 0xF):
        note(found, PARTIAL_CONTINUED, events, at, 1, 0, 0)
        awaited = NOTHING
    if kind == 0x0:
        state[Y] = value & Y_MASK
    elif kind == 0x2:
        return _emit(value & 0x7FF, value >> 11, 1, at, events, wraps, state, found, packed)
    elif kind == 0x3:
        state[BASE], state[BASE_ON] = value & 0x7FF, value >> 11
    elif kind == 0x4 or kind == 0x5:
        pixels = 12 if kind == 4 else 8
        mask = value & ((1 << pixels) - 1)
        if kind == 4:
            state[AWAITED] = THIRD_8 if awaited == SECOND_12 else SECOND_12
        elif awaited not in (THIRD_8, BROKEN):
            _partial_vector(at, events, state, found)
        if state[BASE] == NONE:
            note(found, NO_BASE, events, at, max(bits_set(mask), 1), 0, 0)
            return events
        if state[BASE] >> X_BITS:
            note(found, OUTSIDE, events, at, max(bits_set(mask), 1), 0, 0)
            return events
        x, state[BASE] = state[BASE], min(state[BASE] + pixels, 1 << X_BITS)
        return _emit(x, state[BASE_ON], mask, at, events, wraps, state, found, packed)
    elif kind == 0x6:
        state[LOW] = value
    elif kind == 0x7:
        pass
    elif kind == 0x8:
        time_high(value, BITS_3, UNIT_3, at, events, state, found)
    elif kind == 0xE:
        if value == 0x014 or value == 0x016:
            state[AWAITED] = FIRST_CONTINUED
    elif kind == 0xF:
        if awaited in (FIRST_CONTINUED, SECOND_CONTINUED):
            state[AWAITED] = awaited + 1
    elif kind != 0xA:
        note(found, UNKNOWN, events, at, 1, kind, 0)
    return events


@njit(cache=True, nogil=True)
def _emit(
    x: Any,
    on: Any,
    mask: Any,
    at: Any,
    events: Any,
    wraps: Any,
    state: State,
    found: Found,
    packed: Words,
) -> Any:  # pragma: no cover - compiled
    """Append the events of one word of EVT3, where its row and its time are known."""
    if state[HIGH] == NONE or state[UNSURE]:
        timeless(bits_set(mask), at, events, state, found)
    elif state[Y] == NONE:
        note(found, NO_ROW, events, at, max(bits_set(mask), 1), 0, 0)
    else:
        time_us = (state[HIGH] << UNIT_3) | state[LOW]
        address = (on << ON_AT) | (x << Y_BITS) | state[Y]
        base_us = wraps << (BITS_3 + UNIT_3)
        return append(time_us, base_us, address, mask, at, events, state, found, packed)
    return events
