"""What the kernels of the EVT decoders share: the clock, the events, the problems.

Numba's cache watches only the file of the outermost function: after a change here, delete it.
"""

from typing import Any

from numba import njit

from retempo.sensors.evt.packed import TIME_AT, TIME_BITS, X_BITS, X_MASK, Y_BITS, Words
from retempo.sensors.evt.state import (
    BEFORE,
    EARLY,
    FIRST,
    FROM,
    HIGH,
    KEPT,
    LAST,
    LOW,
    NONE,
    OUTSIDE,
    TICKS,
    TIME_BACK,
    TIME_HOLE,
    TO,
    UNSURE,
    UNTIMED,
    WORD,
    Found,
    State,
)

# The most events of one step of a kernel: a word of EVT2.1.
MOST_AT_ONCE = 32
# How many bits TIME_HIGH has, and how many bits of the time lie below it.
BITS_3, UNIT_3 = 12, 12
BITS_2, UNIT_2 = 28, 6
# A block ends before its wraps exceed the bits that a packed event has for the time.
MOST_WRAPS_3, MOST_WRAPS_2 = 1 << (TIME_BITS - 25), 1 << (TIME_BITS - 35)


@njit(cache=True, nogil=True)
def note(
    found: Found, kind: Any, kept: Any, word: Any, count: Any, before: Any, after: Any
) -> None:  # pragma: no cover - compiled
    """Count a problem; keep what the first one is about."""
    found[kind] += count
    if found[FIRST] == NONE:
        found[FIRST], found[KEPT], found[WORD] = kind, kept, word
        found[FROM], found[TO] = before, after


@njit(cache=True, nogil=True)
def time_high(
    value: Any, bits: Any, unit: Any, at: Any, events: Any, state: State, found: Found
) -> None:  # pragma: no cover - compiled
    """Move the clock to a TIME_HIGH of `bits` bits that counts `1 << unit` us.

    A value behind the last one is the clock's wrap if it lies half of all values back or more.
    Where a ticking clock jumps and then returns, the jump alone was wrong.
    """
    half, all_values = 1 << (bits - 1), 1 << bits
    high = state[HIGH]
    if high == NONE:
        state[HIGH], state[LOW] = value, 0
        return
    ahead = (value - high) % all_values
    if ahead == 0:
        state[TICKS] = 1
        state[UNSURE] = 0
        return
    before = state[BEFORE]
    state[LOW], state[BEFORE], state[UNSURE] = 0, NONE, 0
    wrong = NONE
    if ahead == 1:
        state[HIGH] = high + 1
    elif before != NONE and (value - before) % all_values <= 1:
        state[HIGH] = before + (value - before) % all_values
        wrong = TIME_BACK if state[HIGH] < high else NONE
    elif value > high % all_values or high % all_values - value >= half:
        state[HIGH] = high + ahead
        state[BEFORE] = high if state[TICKS] else NONE
        # Sensors of EVT2 may say nothing while nothing happens.
        wrong = TIME_HOLE if state[TICKS] and bits == BITS_3 else NONE
    else:
        state[HIGH] = high + ahead - all_values
        state[BEFORE] = high if state[TICKS] else NONE
        state[UNSURE] = 1
        wrong = TIME_BACK
    if wrong != NONE:
        note(found, wrong, events, at, 1, high << unit, state[HIGH] << unit)
    if state[HIGH] < high:
        state[LAST] = state[HIGH] << unit


@njit(cache=True, nogil=True)
def timeless(
    count: Any, at: Any, events: Any, state: State, found: Found
) -> None:  # pragma: no cover - compiled
    """Count events whose time is not known; before the first time they are nothing unusual."""
    if state[HIGH] == NONE:
        state[EARLY] += count
    elif count:
        note(found, UNTIMED, events, at, count, 0, 0)


@njit(cache=True, nogil=True)
def append(
    time_us: Any,
    base_us: Any,
    address: Any,
    mask: Any,
    at: Any,
    events: Any,
    state: State,
    found: Found,
    packed: Words,
) -> Any:  # pragma: no cover - compiled
    """Append an event for each bit of a mask; `address` is that of its lowest.

    No sensor has addresses that do not fit into the bits of x.
    """
    room = (1 << X_BITS) - ((address >> Y_BITS) & X_MASK)
    if room < 32 and mask >> room:
        note(found, OUTSIDE, events, at, bits_set(mask >> room), 0, 0)
        mask &= (1 << room) - 1
    if mask and time_us < state[LAST]:
        note(found, TIME_BACK, events, at, 1, state[LAST], time_us)
    if mask:
        state[LAST] = time_us
    word = ((time_us - base_us) << TIME_AT) | address
    while mask:
        if mask & 1:
            packed[events] = word
            events += 1
        mask >>= 1
        word += 1 << Y_BITS
    return events


@njit(cache=True, nogil=True)
def forward(packed: Words, begin: Any, end: Any, last: Any) -> Any:  # pragma: no cover - compiled
    """Whether the times of packed events from `begin` on never go back."""
    if begin == end:
        return True
    here, next_one = packed[begin : end - 1], packed[begin + 1 : end]
    back = (packed[begin] >> TIME_AT) - last
    for i in range(len(here)):
        back |= (next_one[i] >> TIME_AT) - (here[i] >> TIME_AT)
    return back >= 0


@njit(cache=True, nogil=True)
def bits_set(mask: Any) -> Any:  # pragma: no cover - compiled
    """How many bits of a mask of 32 are set."""
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count
