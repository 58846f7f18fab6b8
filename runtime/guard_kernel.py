"""Which times of a stream are believed: the compiled part of `runtime.guard`.

A table of whole numbers holds where a stream stands. Times that are told (`t_us`) become times of
the stream by an offset, which changes where a counter wraps and where the sensor's clock was set
back.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Times

Table = NDArray[np.int64]

(
    MARK,  # the latest believed time of the stream
    OFFSET,  # time of the stream minus time told
    STARTED,
    DOUBTED,  # a watermark that is not believed yet, in the stream's time
    STALE,  # the watermark told before the clock went back
    REFUTED,  # the latest time told that was refuted, which many sources tell as watermark
    T_END,  # the watermark to be handed on
    STATE,  # how many of these a state consists of
) = range(8)
(BACK, AHEAD, BEHIND, PERIOD, CONFIRM, GRID, SLOTS) = range(STATE, STATE + 7)

NO_TIME: Final = -(1 << 62)
FAR: Final = 1 << 62
# Leaves room to 64 bits: an offset and a time told may be added.
LATEST_US: Final = 1 << 61

# What a look at a chunk finds: nothing to do, other times, a watermark that leaps, or suspects.
AS_IT_IS, SHIFTED, LEAPS, JUDGE = range(4)
# What becomes of an event.
ADMITTED, LATE, INVALID, HELD = range(4)
Verdicts = NDArray[np.uint8]

# Columns of a jump: the event that begins it, its time in the stream, how far it went.
AT, TO, BY = range(3)


@njit(cache=True, nogil=True, error_model="numpy")
def stream_us(t: Table, told_us: int) -> int:  # pragma: no cover - compiled
    """Return the time of the stream that is told, by the turn of the counter that fits best."""
    at_us = told_us + t[OFFSET]
    if t[PERIOD]:
        base = t[MARK] - t[BEHIND]
        at_us = base + (at_us - base) % t[PERIOD]
    return int(at_us)


@njit(cache=True, nogil=True, error_model="numpy")
def reach(
    t: Table, t_end_us: int, events: int, held_us: int, jumped: bool
) -> bool:  # pragma: no cover - compiled
    """Move on to a watermark behind the events of its chunk; `T_END` is what it comes to.

    Args:
        t: where the stream stands.
        t_end_us: as told.
        events: how many the chunk has.
        held_us: the latest of the events that are held back, in the stream's time, or `NO_TIME`.
        jumped: whether the chunk's events jumped back.

    Returns:
        Whether a leap is believed: the second watermark in a row says so.
    """
    if not t[STARTED]:
        t[T_END] = t_end_us
        return False
    t[T_END] = t[MARK]
    if t[PERIOD] and events:
        # The latest time of a counter that wraps may be one from before it did: nobody knows.
        t[STALE] = t_end_us
    if t_end_us == t[STALE] or t_end_us == t[REFUTED]:
        return False
    at_us = stream_us(t, t_end_us)
    if at_us <= t[MARK]:
        t[T_END] = at_us
    elif jumped:
        t[STALE] = t_end_us
    elif at_us <= t[MARK] + t[AHEAD]:
        t[MARK] = t[T_END] = min(at_us, LATEST_US)
    elif not t[PERIOD] and at_us > held_us:
        doubted = t[DOUBTED]
        if doubted != NO_TIME and doubted < at_us <= min(doubted + t[AHEAD], LATEST_US):
            t[DOUBTED], t[T_END] = NO_TIME, at_us
            return True
        t[DOUBTED] = at_us
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def look(t: Table, t_us: Times, t_end_us: int) -> int:  # pragma: no cover - compiled
    """Let a chunk pass if all of it is plainly believed, which costs one look at each time.

    The stream has then moved on behind it. `JUDGE` says that nothing has changed, and that its
    events are to be judged.
    """
    n = len(t_us)
    first = low = high = t_us[0] if n else 0
    for i in range(n):
        low, high = min(low, t_us[i]), max(high, t_us[i])
    return _pass(t, n, first, low, high, t_end_us)


@njit(cache=True, nogil=True, error_model="numpy")
def look_unread(
    t: Table, raw: NDArray[np.uint8], n: int, t_start_us: int, t_end_us: int
) -> int:  # pragma: no cover - compiled
    """As `look`, for events as they lie in a message: none of them is made a column."""
    first_us, low_us, high_us = span_of(raw, n, t_start_us)
    return int(_pass(t, n, first_us, low_us, high_us, t_end_us))


@njit(cache=True, nogil=True, error_model="numpy")
def span_of(
    raw: NDArray[np.uint8], n: int, t_start_us: int
) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Return the first, the earliest and the latest time of events as they lie in a message."""
    first = low = high = np.int64(raw[0]) | np.int64(raw[1]) << 8 if n else np.int64(0)
    for i in range(n):
        at = np.int64(raw[2 * i]) | np.int64(raw[2 * i + 1]) << 8
        low, high = min(low, at), max(high, at)
    return int(t_start_us + first), int(t_start_us + low), int(t_start_us + high)


@njit(cache=True, nogil=True, error_model="numpy")
def pass_plainly(
    t: Table, n: int, first_us: int, low_us: int, high_us: int, t_end_us: int
) -> bool:  # pragma: no cover - compiled
    """Let a message pass if all its times and its watermark are believed as they are told.

    `look_unread` would then say `AS_IT_IS`. Otherwise nothing has changed.
    """
    if not t[STARTED] or t[OFFSET] != 0 or t[PERIOD] != 0:
        return False
    if t_end_us == t[STALE] or t_end_us == t[REFUTED]:
        return False
    top = max(t[MARK], high_us) if n else t[MARK]
    if n and (high_us > min(t[MARK] + t[AHEAD], LATEST_US) or low_us < top - t[BACK]):
        return False
    if not top - t[BEHIND] <= t_end_us <= min(top + t[AHEAD], LATEST_US):
        return False
    _pass(t, n, first_us, low_us, high_us, t_end_us)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _pass(
    t: Table, n: int, first_us: int, low_us: int, high_us: int, t_end_us: int
) -> int:  # pragma: no cover - compiled
    if n:
        mark = t[MARK] if t[STARTED] else first_us
        low, high = low_us + t[OFFSET], high_us + t[OFFSET]
        top = max(mark, high)
        if high > min(mark + t[AHEAD], LATEST_US) or low < top - t[BACK]:
            return JUDGE
        t[MARK], t[STARTED], t[DOUBTED] = top, 1, NO_TIME
    if reach(t, t_end_us, n, NO_TIME, False):
        return LEAPS
    return AS_IT_IS if t[OFFSET] == 0 and t[T_END] == t_end_us else SHIFTED


@njit(cache=True, nogil=True, error_model="numpy")
def judge(
    t: Table, t_us: Times, at_us: Times, verdicts: Verdicts, jumps: NDArray[np.int64]
) -> int:  # pragma: no cover - compiled
    """Judge events one after the other, those that were held back first.

    Args:
        t: where the stream stands.
        t_us: as told, `(events,)`.
        at_us: gets the times of the stream of those that are admitted.
        verdicts: gets what becomes of each.
        jumps: gets the jumps, `(jumps, 3)`; has room for one in `CONFIRM` events and one more.

    Returns:
        How many jumps there are.
    """
    n, i, found = len(t_us), 0, 0
    if n and not t[STARTED]:
        t[MARK], t[STARTED] = min(max(t_us[0], -LATEST_US), LATEST_US), 1
    while i < n:
        first_us = stream_us(t, t_us[i])
        if _believed(t, first_us):
            at_us[i], verdicts[i] = first_us, ADMITTED
            t[OFFSET] = first_us - t_us[i]
            t[MARK], t[DOUBTED] = max(t[MARK], first_us), NO_TIME
            i += 1
            continue
        end = _agreeing(t, t_us, i, first_us)
        sure = end - i == t[CONFIRM]
        if sure and _jump(t, t_us[i], first_us, i, jumps[found]):
            found += 1
            continue
        if end == n and not sure:
            verdicts[i:] = HELD
            break
        for k in range(i, end):
            t[REFUTED] = max(t[REFUTED], t_us[k])
            verdicts[k] = LATE if stream_us(t, t_us[k]) < t[MARK] else INVALID
        i = end
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _believed(t: Table, at_us: int) -> bool:  # pragma: no cover - compiled
    mark = t[MARK]
    return bool(mark - t[BACK] <= at_us <= min(mark + t[AHEAD], LATEST_US))


@njit(cache=True, nogil=True, error_model="numpy")
def _agreeing(t: Table, t_us: Times, i: int, first_us: int) -> int:  # pragma: no cover - compiled
    """Return the end of the events from `i` on that agree on another time, `CONFIRM` at most."""
    top, end = first_us, i + 1
    while end < len(t_us) and end - i < t[CONFIRM]:
        at_us = stream_us(t, t_us[end])
        if _believed(t, at_us) or at_us < top - t[BEHIND] or at_us > top + t[AHEAD]:
            break
        top = max(top, at_us)
        end += 1
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _jump(
    t: Table, told_us: int, at_us: int, i: int, jump: NDArray[np.int64]
) -> bool:  # pragma: no cover - compiled
    """Go on at the time of an event; False where that lies beyond all times."""
    mark = t[MARK]
    # Back in time, the stream goes on at the next edge that bins of every length share.
    to_us = at_us if at_us > mark else (mark // t[GRID] + 1) * t[GRID]
    if to_us > LATEST_US or abs(told_us) > LATEST_US:
        return False
    if at_us < mark:
        t[STALE] = mark - t[OFFSET]
    t[OFFSET], t[MARK], t[DOUBTED] = to_us - told_us, to_us, NO_TIME
    jump[AT], jump[TO], jump[BY] = i, to_us, at_us - mark
    return True
