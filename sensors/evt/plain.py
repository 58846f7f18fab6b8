"""The plain twins of the EVT kernels: one word after the other, in Python."""

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.evt import state as at
from retempo.sensors.evt.clock import BITS_2, BITS_3, MOST_AT_ONCE, UNIT_2, UNIT_3
from retempo.sensors.evt.packed import ON_AT, TIME_AT, Y_BITS, Words
from retempo.sensors.evt.state import Found, State

Result = tuple[int, int]


def pack_evt2_plain(
    words: NDArray[np.uint32], begin: int, state: State, found: Found, packed: Words
) -> Result:
    """Do what `pack_evt2` does."""
    wide = [(int(word) << 32) | 1 for word in words]
    return _pack_evt2(wide, begin, state, found, packed)


def pack_evt21_plain(
    words: NDArray[np.uint64], begin: int, state: State, found: Found, packed: Words
) -> Result:
    """Do what `pack_evt21` does."""
    return _pack_evt2([int(word) for word in words], begin, state, found, packed)


def _pack_evt2(words: list[int], begin: int, state: State, found: Found, packed: Words) -> Result:
    base_us, events = _base_us(state, BITS_2, UNIT_2), 0
    for place in range(begin, len(words)):
        if events > len(packed) - MOST_AT_ONCE or _wraps(state, base_us, BITS_2, UNIT_2) >= 16:
            return place, events
        kind, upper = words[place] >> 60, words[place] >> 32
        pixels = [bit for bit in range(32) if words[place] >> bit & 1]
        if kind <= 1:
            if state[at.HIGH] < 0 or state[at.UNSURE]:
                _timeless(len(pixels), place, events, state, found)
                continue
            time_us = int(state[at.HIGH]) * 64 + (upper >> 22 & 63)
            x, y = upper >> 11 & 0x7FF, upper & 0x7FF
            events = _emit(
                time_us, base_us, x, y, kind, pixels, place, events, state, found, packed
            )
        elif kind == 0x8:
            _time_high(upper & 0xFFFFFFF, BITS_2, UNIT_2, place, events, state, found)
        elif kind not in (0xA, 0xE, 0xF):
            _note(found, at.UNKNOWN, events, place, 1, kind)
    return len(words), events


def pack_evt3_plain(
    words: NDArray[np.uint16], begin: int, state: State, found: Found, packed: Words
) -> Result:
    """Do what `pack_evt3` does."""
    base_us, events = _base_us(state, BITS_3, UNIT_3), 0
    for place in range(begin, len(words)):
        if events > len(packed) - MOST_AT_ONCE or _wraps(state, base_us, BITS_3, UNIT_3) >= 1 << 14:
            return place, events
        kind, value = divmod(int(words[place]), 4096)
        awaited = _awaited(kind, place, events, state, found)
        if kind == 0x0:
            state[at.Y] = value % 2048
        elif kind == 0x3:
            state[at.BASE], state[at.BASE_ON] = value % 2048, value // 2048
        elif kind == 0x6:
            state[at.LOW] = value
        elif kind == 0x8:
            _time_high(value, BITS_3, UNIT_3, place, events, state, found)
        elif kind == 0xE and value in (0x014, 0x016):
            state[at.AWAITED] = at.FIRST_CONTINUED
        elif kind == 0xF and awaited in (at.FIRST_CONTINUED, at.SECOND_CONTINUED):
            state[at.AWAITED] = awaited + 1
        elif kind in (0x1, 0x9, 0xB, 0xC, 0xD):
            _note(found, at.UNKNOWN, events, place, 1, kind)
        if kind not in (0x2, 0x4, 0x5):
            continue
        x, on, pixels = value % 2048, value // 2048, [0]
        if kind != 0x2:
            size = 12 if kind == 0x4 else 8
            pixels = [bit for bit in range(size) if value >> bit & 1]
            if kind == 0x4:
                state[at.AWAITED] = at.THIRD_8 if awaited == at.SECOND_12 else at.SECOND_12
            elif awaited not in (at.THIRD_8, at.BROKEN) and state[at.TICKS]:
                _note(found, at.PARTIAL_VECTOR, events, place, 1)
            if state[at.BASE] < 0:
                _note(found, at.NO_BASE, events, place, max(len(pixels), 1))
                continue
            x, on = int(state[at.BASE]), int(state[at.BASE_ON])
            if x >= 2048:
                _note(found, at.OUTSIDE, events, place, max(len(pixels), 1))
                continue
            state[at.BASE] = min(x + size, 2048)
        if state[at.HIGH] < 0 or state[at.UNSURE]:
            _timeless(len(pixels), place, events, state, found)
        elif state[at.Y] < 0:
            _note(found, at.NO_ROW, events, place, max(len(pixels), 1))
        else:
            time_us, y = int(state[at.HIGH]) * 4096 + int(state[at.LOW]), int(state[at.Y])
            events = _emit(time_us, base_us, x, y, on, pixels, place, events, state, found, packed)
    return len(words), events


def _awaited(kind: int, place: int, events: int, state: State, found: Found) -> int:
    """Return which word of a group this one is, BROKEN if it breaks one off."""
    awaited = int(state[at.AWAITED])
    state[at.AWAITED] = at.NOTHING
    wanted = {at.NOTHING: kind, at.SECOND_12: 0x4, at.THIRD_8: 0x5, at.THIRD_CONTINUED: 0x7}
    if kind == wanted.get(awaited, 0xF):
        return awaited
    vector = awaited in (at.SECOND_12, at.THIRD_8)
    # Cameras send 12, 12 and 8, and repeat TIME_HIGH; writers of files do neither.
    if state[at.TICKS] or not vector:
        _note(found, at.PARTIAL_VECTOR if vector else at.PARTIAL_CONTINUED, events, place, 1)
    return at.BROKEN


def _time_high(
    value: int, bits: int, unit: int, place: int, events: int, state: State, found: Found
) -> None:
    size, high = 1 << bits, int(state[at.HIGH])
    if high < 0:
        state[at.HIGH], state[at.LOW] = value, 0
        return
    epoch, last = divmod(high, size)
    if value == last:
        state[at.TICKS], state[at.UNSURE] = 1, 0
        return
    before, kind, unsure = int(state[at.BEFORE]), None, 0
    jumped = high if state[at.TICKS] else at.NONE
    if value == (last + 1) % size:
        new, jumped = high + 1, at.NONE
    elif before >= 0 and value in (before % size, (before + 1) % size):
        new, jumped = before + (value != before % size), at.NONE
        kind = at.TIME_BACK if new < high else None
    elif value > last or last - value >= size // 2:
        new = (epoch + (value < last)) * size + value
        kind = at.TIME_HOLE if state[at.TICKS] and bits == BITS_3 else None
    else:
        new, kind, unsure = epoch * size + value, at.TIME_BACK, 1
    state[at.HIGH], state[at.LOW] = new, 0
    state[at.BEFORE], state[at.UNSURE] = jumped, unsure
    if kind is not None:
        _note(found, kind, events, place, 1, high << unit, new << unit)
    if new < high:
        state[at.LAST] = new << unit


def _emit(
    time_us: int,
    base_us: int,
    x: int,
    y: int,
    on: int,
    pixels: list[int],
    place: int,
    events: int,
    state: State,
    found: Found,
    packed: Words,
) -> int:
    beyond = [pixel for pixel in pixels if x + pixel >= 2048]
    if beyond:
        _note(found, at.OUTSIDE, events, place, len(beyond))
        pixels = pixels[: -len(beyond)]
    if pixels and time_us < state[at.LAST]:
        _note(found, at.TIME_BACK, events, place, 1, int(state[at.LAST]), time_us)
    for pixel in pixels:
        address = on << ON_AT | x + pixel << Y_BITS | y
        packed[events] = time_us - base_us << TIME_AT | address
        state[at.LAST] = time_us
        events += 1
    return events


def _timeless(count: int, place: int, events: int, state: State, found: Found) -> None:
    if state[at.HIGH] < 0:
        state[at.EARLY] += count
    elif count:
        _note(found, at.UNTIMED, events, place, count)


def _note(
    found: Found, kind: int, kept: int, place: int, count: int, before: int = 0, after: int = 0
) -> None:
    found[kind] += count
    if found[at.FIRST] < 0:
        found[at.FIRST :] = kind, kept, place, before, after


def _base_us(state: State, bits: int, unit: int) -> int:
    return max(int(state[at.HIGH]), 0) >> bits << bits + unit


def _wraps(state: State, base_us: int, bits: int, unit: int) -> int:
    return (int(state[at.HIGH]) >> bits) - (base_us >> bits + unit)
