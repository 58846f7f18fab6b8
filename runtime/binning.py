"""From events to counts: one kernel pass with bounds, lateness and mask.

Bins are half-open intervals of event time, `[k dt, (k + 1) dt)`. A window of consecutive bins is
open at a time, a ring of rows; the kernel adds every event that falls into it, counts what does not
fit, and stops at the first event beyond it, so that the caller closes old bins and goes on.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.runtime.kernel_events import Events, ask_for, event_at, size_of
from retempo.runtime.layout import Bins, Index, Mask
from retempo.runtime.prefetch import prefetch

Counts = NDArray[np.int64]
Words = NDArray[np.uint64]
# What the kernel counts, by position in `counts`; LATEST is the highest bin that got an event,
# OLDEST the lowest that can still get one.
BINNED, LATE, INVALID, MASKED, LATEST, OLDEST = range(6)
NO_BIN = np.iinfo(np.int64).min
# More bins than any silence takes; the sum with a bin's number is still a number.
FOREVER = 1 << 61
# The inputs that got an event are the bits of words: they are found again in ascending order
# without a look at the row, and to set one costs no comparison.
# A row with more events than a part of its inputs is looked at as a whole, which is faster by then.
CROWDED = 4
# Events that are looked at together before they are counted, and how far ahead of them the memory
# is asked for others.
BLOCK: Final = np.uint64(32)
AHEAD: Final = np.uint64(256)
# A row with as many entries lies in no near cache, so it is asked for where the next block counts.
WIDE = 65_536
_ONE, _WORD_BITS, _IN_WORD = np.uint64(1), np.uint64(6), np.uint64(63)


def new_counts() -> Counts:
    """Return counts of nothing."""
    counts = np.zeros(6, np.int64)
    counts[LATEST] = counts[OLDEST] = NO_BIN
    return counts


@njit(cache=True, nogil=True, error_model="numpy")
def bin_events(
    events: Events,
    begin: int,
    first_bin: int,
    head: int,
    dt_us: int,
    parts: int,
    unit_us: int,
    patience: int,
    silence: int,
    columns: Index,
    rows: Index,
    mask: Mask,
    window: Bins,
    active: Words | None,
    filled: Counts,
    counts: Counts,
) -> int:  # pragma: no cover - compiled
    """Add the events from `begin` on to the open bins; return the first that does not fit.

    `window[slot * parts + j]` with `slot = (head + k) % open bins` is unit `j` of the bin
    `first_bin + k`, see `runtime.bin_modes.Cut`. An event is late where it lies more than
    `patience` bins before the latest one on the sensor; one outside the sensor moves nothing. The
    call ends at an event beyond the window, or more than `silence` bins after the latest binned
    one. `filled[slot]` counts the events of a bin; as long as they are few, see `CROWDED`, input
    `k` of a row is marked by bit `k % 64` of its word `k // 64` in `active`, if there is one.
    `counts` is added to; make it with `new_counts`.

    Shapes: `window` `(open bins * parts, inputs)`, float32, or another type that is wide enough for
    the counts; `active` `(open bins * parts, words)`, `filled`
    `(open bins,)`, `counts` `(6,)` or longer.
    """
    opened = filled.shape[0]
    origin = first_bin * dt_us
    high = origin + opened * dt_us
    oldest = max(first_bin, counts[OLDEST])
    low = oldest * dt_us
    bin_low = high
    bin_high = high
    slot, row, ahead = 0, 0, 0
    size = size_of(events)
    crowd = window.shape[1] // CROWDED
    latest = counts[LATEST]
    # Counts in memory would be a chain of writes and reads from event to event.
    invalid, late, masked = 0, 0, 0
    i = np.uint64(begin)
    while i < np.uint64(size):
        t, x, y, _ = event_at(events, i)
        if x >= columns.shape[0] or y >= rows.shape[0] >> 1:
            invalid += 1
            i += np.uint64(1)
            continue
        if t >= high:
            break
        if t < low:
            late += 1
            i += np.uint64(1)
            continue
        # Events come in runs of one bin: dividing once a run is twice as fast as once an event.
        if t < bin_low or t >= bin_high:
            ahead = (t - origin) // dt_us
            late_before = first_bin + ahead - patience
            silent_until = latest + 1 + silence
            if latest != NO_BIN and late_before > max(silent_until, first_bin):
                break
            oldest = max(oldest, late_before)
            low = oldest * dt_us
            slot = (head + ahead) % opened
            row = slot * parts
            bin_low = origin + ahead * dt_us
            bin_high = bin_low + dt_us
            if parts > 1:
                unit = t // unit_us
                row += unit - bin_low // unit_us
                bin_low = max(bin_low, unit * unit_us)
                bin_high = min(bin_high, (unit + 1) * unit_us)
        lone = crowd - filled[slot]
        if active is not None and lone > 0:
            stop, marks = min(size, np.int64(i) + lone), active[row]
            end, hidden = _stretch(
                events, i, stop, bin_low, bin_high, columns, rows, mask, window[row], marks
            )
        else:
            end, hidden = _stretch(
                events, i, size, bin_low, bin_high, columns, rows, mask, window[row], None
            )
        masked += hidden
        added = np.int64(end - i) - hidden
        if added > 0:
            latest = max(latest, first_bin + ahead)
            filled[slot] += added
        i = end
    after: int = np.int64(i)  # type: ignore[assignment]
    counts[BINNED] += after - begin - invalid - late - masked
    counts[LATE] += late
    counts[INVALID] += invalid
    counts[MASKED] += masked
    counts[LATEST] = latest
    counts[OLDEST] = oldest
    return after


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _stretch(
    events: Any,
    begin: Any,
    stop: int,
    low: Any,
    high: Any,
    columns: Index,
    rows: Index,
    mask: Mask,
    row: Bins,
    marks: Words | None,
) -> Any:  # pragma: no cover - compiled
    """Do what `_run` does; without a mask there is a loop that does not look at it."""
    if mask.size > 0:
        return _run(events, begin, stop, low, high, columns, rows, mask, row, marks)
    return _run(events, begin, stop, low, high, columns, rows, None, row, marks)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _run(
    events: Any,
    begin: Any,
    stop: int,
    low: Any,
    high: Any,
    columns: Index,
    rows: Index,
    mask: Mask | None,
    row: Bins,
    marks: Words | None,
) -> Any:  # pragma: no cover - compiled
    """Add events before `stop` as long as they lie on the sensor and in one bin.

    A loop of its own keeps all that it needs in registers. Returns the first event that is not
    added, and how many are masked.
    """
    # Unsigned indices need no look at their sign.
    end = np.uint64(stop)
    i = np.uint64(begin)
    width, height = columns.shape[0], rows.shape[0] >> 1
    masked, one = 0, row.dtype.type(1)
    # What counts an event stands here twice, since a function with arrays would count references to
    # them at every event, which takes four times as long as the rest.
    while i + BLOCK <= end and _fits(events, i, low, high, width, height):
        if marks is None and row.shape[0] >= WIDE and i + BLOCK + BLOCK <= end:
            _ask_for_counts(events, i + BLOCK, columns, rows, row)
        for k in range(i, i + BLOCK):
            _, x, y, on = event_at(events, k)
            if mask is not None and mask[y, x]:
                masked += 1
                continue
            place = np.uint64(columns[x] + rows[(np.uint64(y) << _ONE) + np.uint64(on)])
            row[place] += one
            if marks is not None:
                marks[place >> _WORD_BITS] |= _ONE << (place & _IN_WORD)
        i += BLOCK
    while i < end:
        t, x, y, on = event_at(events, i)
        if x >= width or y >= height or t < low or t >= high:
            break
        i += _ONE
        if mask is not None and mask[y, x]:
            masked += 1
            continue
        place = np.uint64(columns[x] + rows[(np.uint64(y) << _ONE) + np.uint64(on)])
        row[place] += one
        if marks is not None:
            marks[place >> _WORD_BITS] |= _ONE << (place & _IN_WORD)
    return i, masked


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _ask_for_counts(
    events: Any, begin: Any, columns: Index, rows: Index, row: Bins
) -> None:  # pragma: no cover - compiled
    """Ask the memory for what a block of events is to be counted in, if it lies in this row."""
    for k in range(begin, begin + BLOCK):
        _, x, y, on = event_at(events, k)
        if x < columns.shape[0] and y < rows.shape[0] >> 1:
            prefetch(row, np.uint64(columns[x] + rows[(np.uint64(y) << _ONE) + np.uint64(on)]))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _fits(
    events: Any, begin: Any, low: Any, high: Any, width: int, height: int
) -> Any:  # pragma: no cover - compiled
    """Return whether all events of a block lie on the sensor and in one bin.

    Their extremes say so, which are found without a branch, many events at a time.
    """
    ask_for(events, begin + AHEAD)
    first, right, bottom, _ = event_at(events, begin)
    last = first
    for k in range(begin, begin + BLOCK):
        t, x, y, _ = event_at(events, k)
        first, last = min(first, t), max(last, t)
        right, bottom = max(right, x), max(bottom, y)
    return (low <= first) & (last < high) & (right < width) & (bottom < height)
