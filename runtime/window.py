"""How the window of open bins moves on: one call a chunk, see `runtime.window_table`.

Its events are counted, and the bins that time has passed are closed: handed on as lists of entries,
or as the rows that they are.
"""

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime.binning import BINNED, INVALID, LATEST, NO_BIN, OLDEST, bin_events
from retempo.runtime.kernel_events import Events, event_at, size_of
from retempo.runtime.pointers import pointer
from retempo.runtime.window_lists import filled_of, gather, give, marks_of, window_of
from retempo.runtime.window_table import (
    AT_COLUMNS,
    AT_MASK,
    AT_ROWS,
    BEGUN,
    BLOCK_BINS,
    BLOCK_ENTRIES,
    BLOCK_FIRST,
    BLOCK_SLOT,
    DT,
    FIRST,
    GAPS,
    GATHER,
    GIVEN,
    GROUP_END,
    GROUP_FILLED,
    GROUP_OPEN,
    HEAD,
    HEIGHT,
    IN_GAP,
    INPUTS,
    MASKS,
    MOST_BINS,
    MOST_ENTRIES,
    OPENED,
    PARTS,
    PATIENCE,
    POSITION,
    SILENCE,
    STARTED,
    T_END,
    TARGET,
    UNIT,
    WANTED,
    WIDTH,
    Table,
)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(
    table: Table, events: Events, listed: bool | None
) -> bool:  # pragma: no cover - compiled
    """Count the events from `POSITION` on and close what they and the watermark pass.

    Returns whether it has to be called again once the closed bins have been taken: as lists or,
    with `listed` None, as the rows of `BLOCK_BINS` slots from `BLOCK_SLOT` on.
    """
    t = table
    _take_up(t, listed)
    size = size_of(events)
    while not _close(t, listed):
        if t[POSITION] > size:
            return False
        # Rows are to be taken before their slots can be others'.
        if listed is None and t[BLOCK_BINS] > 0:
            return True
        if not t[STARTED] and not _start(t, events):
            return False
        if t[LATEST] < t[FIRST]:
            # Nothing is open: rows that begin in the first slot are given together.
            t[HEAD] = 0
        binned = t[BINNED]
        t[POSITION] = _count(t, events, listed)
        if t[BINNED] > binned:
            t[IN_GAP] = 0
        if t[POSITION] < size:
            time_us, _, _, _ = event_at(events, np.uint64(t[POSITION]))
            t[TARGET] = time_us // t[DT] - t[PATIENCE]
        else:
            t[TARGET] = max(t[OLDEST], t[T_END] // t[DT] - t[PATIENCE])
            t[POSITION] = size + 1
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def drain(table: Table, listed: bool | None) -> bool:  # pragma: no cover - compiled
    """Close the bins up to that of the last binned event; see `advance`."""
    t = table
    _take_up(t, listed)
    t[TARGET] = t[LATEST] + 1
    if _close(t, listed):
        return True
    if t[GROUP_OPEN]:
        # What is missing of it is silence; the window is empty, so it is moved as it is.
        give(t, t[HEAD])
        t[FIRST] = t[OLDEST] = t[GROUP_END]
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _take_up(t: Table, listed: bool | None) -> None:  # pragma: no cover - compiled
    """Forget what has been told of the last call, and clear the rows that it gave."""
    if listed is None and t[BLOCK_BINS] > 0:
        window, filled = window_of(t), filled_of(t)
        for slot in range(t[BLOCK_SLOT], t[BLOCK_SLOT] + t[BLOCK_BINS]):
            if filled[slot]:
                window[slot * t[PARTS] : (slot + 1) * t[PARTS]] = np.float32(0.0)
                filled[slot] = 0
    t[:LATEST] = 0
    t[GAPS] = 0
    t[BLOCK_BINS] = 0
    t[BLOCK_ENTRIES] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _start(t: Table, events: Events) -> bool:  # pragma: no cover - compiled
    """Place the window at the first event on the sensor; count what comes before it."""
    begin = t[POSITION]
    for i in range(begin, size_of(events)):
        time_us, x, y, _ = event_at(events, np.uint64(i))
        if x < t[WIDTH] and y < t[HEIGHT]:
            t[POSITION] = i
            t[INVALID] += i - begin
            t[FIRST] = t[TARGET] = time_us // t[DT] - t[PATIENCE]
            t[STARTED] = 1
            return True
    t[POSITION] = size_of(events)
    t[INVALID] += t[POSITION] - begin
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _count(t: Table, events: Events, listed: bool | None) -> int:  # pragma: no cover - compiled
    """Add events to the window; return the first that does not fit."""
    end: int = bin_events(
        events,
        t[POSITION],
        t[FIRST],
        t[HEAD],
        t[DT],
        t[PARTS],
        t[UNIT],
        t[PATIENCE],
        t[SILENCE],
        carray(pointer(t[AT_COLUMNS]), (t[WIDTH],), np.int32),
        carray(pointer(t[AT_ROWS]), (2 * t[HEIGHT],), np.int32),
        carray(pointer(t[AT_MASK]), (t[MASKS], t[WIDTH]), np.bool_),
        window_of(t),
        None if listed is None else marks_of(t),
        filled_of(t),
        t,
    )
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _close(t: Table, listed: bool | None) -> bool:  # pragma: no cover - compiled
    """Close the bins before `TARGET`; returns whether the closed ones have to be taken first."""
    filled = filled_of(t)
    while t[FIRST] < t[TARGET]:
        first, slot = t[FIRST], t[HEAD]
        if not t[BEGUN]:
            # Before the first binned event there is nothing to step: the stream has not begun.
            if t[LATEST] == NO_BIN:
                _leave_gap(t)
                break
            if not filled[slot]:
                _move_on(t)
                continue
        if not t[GROUP_OPEN]:
            if first > t[LATEST] + t[SILENCE]:
                _leave_gap(t)
                break
            if not _open_group(t, listed):
                return True
        if listed is None:
            if t[BLOCK_BINS] == 0:
                t[BLOCK_FIRST], t[BLOCK_SLOT] = first, slot
            t[BLOCK_BINS] += 1
            t[GROUP_OPEN] = 0
            _move_on(t)
            continue
        if filled[slot]:
            gather(t, slot)
            filled[slot] = 0
        _move_on(t)
        if t[FIRST] == t[GROUP_END]:
            give(t, slot)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _move_on(t: Table) -> None:  # pragma: no cover - compiled
    t[FIRST] += 1
    t[HEAD] = t[HEAD] + 1 if t[HEAD] + 1 < t[OPENED] else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _leave_gap(t: Table) -> None:  # pragma: no cover - compiled
    """Leave out what is before the target; the window is empty, so it is moved as it is."""
    if t[BEGUN] and not t[IN_GAP]:
        t[GAPS] += 1
    t[IN_GAP] = 1
    t[FIRST] = t[TARGET]


@njit(cache=True, nogil=True, error_model="numpy")
def _open_group(t: Table, listed: bool | None) -> bool:  # pragma: no cover - compiled
    """Begin the bins that are closed as one; False where the block has to be taken before.

    Another number of them begins where its edges are: as soon as nothing of its first group has
    been given away.
    """
    first, taken = t[FIRST], t[BLOCK_BINS]
    wanted = t[WANTED]
    if wanted != t[GATHER] and first // wanted * wanted >= t[GIVEN]:
        if taken:
            return False
        t[GATHER] = wanted
    number = first // t[GATHER]
    if taken and number != t[BLOCK_FIRST] + taken:
        return False
    if listed is None:
        # Rows are given as they lie in the ring.
        if taken and t[HEAD] == 0:
            return False
    elif taken == t[MOST_BINS] or (taken and t[BLOCK_ENTRIES] + t[INPUTS] > t[MOST_ENTRIES]):
        return False
    t[BEGUN] = t[GROUP_OPEN] = 1
    t[GROUP_FILLED] = 0
    t[GROUP_END] = (number + 1) * t[GATHER]
    return True
