"""How the window of open bins moves on: one call a chunk, see `runtime.window_table`.

Its events are counted, and the bins that time has passed are closed: handed on as lists of entries,
or as the rows that they are.
"""

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime.binning import (
    BINNED,
    INVALID,
    LATEST,
    NO_BIN,
    OLDEST,
    Events,
    Flags,
    Words,
    bin_events,
    event_at,
)
from retempo.runtime.closing import list_row, merge_row
from retempo.runtime.layout import Bins
from retempo.runtime.pointers import pointer
from retempo.runtime.window_table import (
    AT_COLUMNS,
    AT_FILLED,
    AT_GATHERED,
    AT_GATHERED_MARKS,
    AT_INPUTS,
    AT_MARKS,
    AT_MASK,
    AT_ROWS,
    AT_STARTS,
    AT_VALUES,
    AT_WINDOW,
    BEGUN,
    BIN_UNIT,
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
    MEANING,
    MOST_BINS,
    MOST_ENTRIES,
    OPENED,
    PARTS,
    PATIENCE,
    PEAK,
    PLANE,
    POSITION,
    SILENCE,
    STARTED,
    T_END,
    TARGET,
    UNIT,
    WANTED,
    WIDTH,
    WORDS,
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
    size = len(events[0])
    while not _close(t, listed):
        if t[POSITION] > size:
            return False
        # Rows are to be taken before their slots can be others'.
        if listed is None and t[BLOCK_BINS] > 0:
            return True
        if not t[STARTED] and not _start(t, events):
            return False
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
        _give(t, t[HEAD])
        t[FIRST] = t[OLDEST] = t[GROUP_END]
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _take_up(t: Table, listed: bool | None) -> None:  # pragma: no cover - compiled
    """Forget what has been told of the last call, and clear the rows that it gave."""
    if listed is None and t[BLOCK_BINS] > 0:
        window, filled = _window(t), _filled(t)
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
    for i in range(begin, len(events[0])):
        time_us, x, y, _ = event_at(events, np.uint64(i))
        if x < t[WIDTH] and y < t[HEIGHT]:
            t[POSITION] = i
            t[INVALID] += i - begin
            t[FIRST] = t[TARGET] = time_us // t[DT] - t[PATIENCE]
            t[STARTED] = 1
            return True
    t[POSITION] = len(events[0])
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
        carray(pointer(t[AT_ROWS]), (t[HEIGHT],), np.int32),
        t[PLANE],
        carray(pointer(t[AT_MASK]), (t[MASKS], t[WIDTH]), np.bool_),
        _window(t),
        None if listed is None else _marks(t),
        _filled(t),
        t,
    )
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _close(t: Table, listed: bool | None) -> bool:  # pragma: no cover - compiled
    """Close the bins before `TARGET`; returns whether the closed ones have to be taken first."""
    filled = _filled(t)
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
            _gather(t, slot)
            filled[slot] = 0
            t[GROUP_FILLED] = 1
        _move_on(t)
        if t[FIRST] == t[GROUP_END]:
            _give(t, slot)
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


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(t: Table, slot: int) -> None:  # pragma: no cover - compiled
    """Merge the rows of a bin: into its first, or into those of the bins that it is closed with."""
    window, words = _window(t), _marks(t)
    begin, end = slot * t[PARTS], (slot + 1) * t[PARTS]
    if t[GATHER] > 1:
        into, marks = _gathered(t)
    else:
        into, marks = window[begin], words[begin]
        begin += 1
    for row in range(begin, end):
        merge_row(window[row], words[row], into, marks, t[PEAK] != 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _give(t: Table, slot: int) -> None:  # pragma: no cover - compiled
    """List what has been gathered as the next bin of the block."""
    if t[GROUP_FILLED]:
        length = np.float32(t[GATHER] * t[DT] / t[BIN_UNIT])
        inputs = carray(pointer(t[AT_INPUTS]), (t[MOST_ENTRIES],), np.int32)
        values = carray(pointer(t[AT_VALUES]), (t[MOST_ENTRIES],), np.float32)
        if t[GATHER] > 1:
            row, marks = _gathered(t)
        else:
            row, marks = _window(t)[slot * t[PARTS]], _marks(t)[slot * t[PARTS]]
        at = t[BLOCK_ENTRIES]
        t[BLOCK_ENTRIES] = list_row(row, marks, t[MEANING], length, inputs, values, at)
    starts = carray(pointer(t[AT_STARTS]), (t[MOST_BINS] + 1,), np.int64)
    if t[BLOCK_BINS] == 0:
        t[BLOCK_FIRST] = t[GROUP_END] // t[GATHER] - 1
    t[BLOCK_BINS] += 1
    starts[t[BLOCK_BINS]] = t[BLOCK_ENTRIES]
    t[GROUP_OPEN] = 0
    t[GIVEN] = t[GROUP_END]


@njit(cache=True, nogil=True, error_model="numpy")
def _window(t: Table) -> Bins:  # pragma: no cover - compiled
    shape = (t[OPENED] * t[PARTS], t[INPUTS])
    return carray(pointer(t[AT_WINDOW]), shape, np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _marks(t: Table) -> Words:  # pragma: no cover - compiled
    shape = (t[OPENED] * t[PARTS], t[WORDS])
    return carray(pointer(t[AT_MARKS]), shape, np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def _filled(t: Table) -> Flags:  # pragma: no cover - compiled
    return carray(pointer(t[AT_FILLED]), (t[OPENED],), np.uint8)


@njit(cache=True, nogil=True, error_model="numpy")
def _gathered(t: Table) -> tuple[Bins, Words]:  # pragma: no cover - compiled
    row = carray(pointer(t[AT_GATHERED]), (t[INPUTS],), np.float32)
    return row, carray(pointer(t[AT_GATHERED_MARKS]), (t[WORDS],), np.uint64)
