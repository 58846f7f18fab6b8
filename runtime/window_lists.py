"""What a closed bin of the window becomes: an entry of a block, or a part of a longer bin."""

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime.binning import CROWDED, Counts, Words
from retempo.runtime.closing import list_row, mark_row, merge_row
from retempo.runtime.layout import Bins
from retempo.runtime.pointers import pointer
from retempo.runtime.window_table import (
    AT_FILLED,
    AT_GATHERED,
    AT_GATHERED_MARKS,
    AT_INPUTS,
    AT_MARKS,
    AT_STARTS,
    AT_VALUES,
    AT_WINDOW,
    BIN_UNIT,
    BLOCK_BINS,
    BLOCK_ENTRIES,
    BLOCK_FIRST,
    DT,
    GATHER,
    GIVEN,
    GROUP_END,
    GROUP_FILLED,
    GROUP_OPEN,
    INPUTS,
    MEANING,
    MOST_BINS,
    MOST_ENTRIES,
    OPENED,
    PARTS,
    PEAK,
    WORDS,
    Table,
)

# What a group holds besides nothing: entries that are marked, or a row to look at as a whole.
MARKED, WHOLE = 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def gather(t: Table, slot: int) -> None:  # pragma: no cover - compiled
    """Merge the rows of a bin: into its first, or into those of the bins that it is closed with."""
    window, words = window_of(t), marks_of(t)
    begin, end = slot * t[PARTS], (slot + 1) * t[PARTS]
    t[GROUP_FILLED] = MARKED
    if filled_of(t)[slot] >= t[INPUTS] // CROWDED:
        if t[GATHER] == 1 and t[PARTS] == 1:
            t[GROUP_FILLED] = WHOLE
            return
        for row in range(begin, end):
            mark_row(window[row], words[row])
    if t[GATHER] > 1:
        into, marks = _gathered_of(t)
    else:
        into, marks = window[begin], words[begin]
        begin += 1
    for row in range(begin, end):
        merge_row(window[row], words[row], into, marks, t[PEAK] != 0)


@njit(cache=True, nogil=True, error_model="numpy")
def give(t: Table, slot: int) -> None:  # pragma: no cover - compiled
    """List what has been gathered as the next bin of the block."""
    if t[GROUP_FILLED]:
        length = np.float32(t[GATHER] * t[DT] / t[BIN_UNIT])
        inputs = carray(pointer(t[AT_INPUTS]), (t[MOST_ENTRIES] + 1,), np.int32)
        values = carray(pointer(t[AT_VALUES]), (t[MOST_ENTRIES] + 1,), np.float32)
        if t[GATHER] > 1:
            row, marks = _gathered_of(t)
        else:
            row, marks = window_of(t)[slot * t[PARTS]], marks_of(t)[slot * t[PARTS]]
        at = t[BLOCK_ENTRIES]
        t[BLOCK_ENTRIES] = list_row(
            row, marks, t[GROUP_FILLED] == WHOLE, t[MEANING], length, inputs, values, at
        )
    starts = carray(pointer(t[AT_STARTS]), (t[MOST_BINS] + 1,), np.int64)
    if t[BLOCK_BINS] == 0:
        t[BLOCK_FIRST] = t[GROUP_END] // t[GATHER] - 1
    t[BLOCK_BINS] += 1
    starts[t[BLOCK_BINS]] = t[BLOCK_ENTRIES]
    t[GROUP_OPEN] = 0
    t[GIVEN] = t[GROUP_END]


@njit(cache=True, nogil=True, error_model="numpy")
def window_of(t: Table) -> Bins:  # pragma: no cover - compiled
    """The rows of the open bins, `(open bins * parts, inputs)`."""
    shape = (t[OPENED] * t[PARTS], t[INPUTS])
    return carray(pointer(t[AT_WINDOW]), shape, np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def marks_of(t: Table) -> Words:  # pragma: no cover - compiled
    """The marks of their entries, `(open bins * parts, words)`."""
    shape = (t[OPENED] * t[PARTS], t[WORDS])
    return carray(pointer(t[AT_MARKS]), shape, np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def filled_of(t: Table) -> Counts:  # pragma: no cover - compiled
    """How many events each of them holds, `(open bins,)`."""
    return carray(pointer(t[AT_FILLED]), (t[OPENED],), np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def _gathered_of(t: Table) -> tuple[Bins, Words]:  # pragma: no cover - compiled
    row = carray(pointer(t[AT_GATHERED]), (t[INPUTS],), np.float32)
    return row, carray(pointer(t[AT_GATHERED_MARKS]), (t[WORDS],), np.uint64)
