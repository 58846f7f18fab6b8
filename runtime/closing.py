"""From counted rows to lists of entries: only what events have touched is looked at and cleared.

Which inputs a row has entries at stands in words of 64 bits, see `runtime.binning`. Bits are
visited in their order, so the inputs ascend without being sorted.
"""

import numpy as np
from numba import njit

from retempo.runtime.binning import Words
from retempo.runtime.bits import WORD, lowest, other_than_0
from retempo.runtime.layout import Bins, Index

# What a count means, see `runtime.bin_modes`.
AS_IT_IS, AS_ONE, AS_RATE = range(3)
_ONE, _NOTHING = np.uint64(1), np.float32(0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def mark_row(row: Bins, words: Words) -> None:  # pragma: no cover - compiled
    """Mark the entries of a row anew; shapes as in `merge_row`."""
    whole = len(row) // WORD
    for w in range(whole):
        words[w] = other_than_0(row, w * WORD)
    if whole < len(words):
        word = np.uint64(0)
        for k in range(whole * WORD, len(row)):
            word |= np.uint64(row[k] != _NOTHING) << np.uint64(k - whole * WORD)
        words[whole] = word


@njit(cache=True, nogil=True, error_model="numpy")
def merge_row(
    row: Bins, words: Words, into: Bins, into_words: Words, peak: bool
) -> None:  # pragma: no cover - compiled
    """Add a row to another, or by `peak` take the higher count of each input; clear the row.

    Shapes: rows `(inputs,)`, words `(inputs / 64,)`, rounded up.
    """
    for w in range(len(words)):
        word = words[w]
        into_words[w] |= word
        words[w] = 0
        while word != 0:
            k = np.uint64(w * WORD) + lowest(word)
            word &= word - _ONE
            into[k] = max(into[k], row[k]) if peak else into[k] + row[k]
            row[k] = _NOTHING


@njit(cache=True, nogil=True, error_model="numpy")
def list_row(
    row: Bins,
    words: Words,
    whole: bool,
    meaning: int,
    length: np.float32,
    inputs: Index,
    values: Bins,
    at: int,
) -> int:  # pragma: no cover - compiled
    """List the entries of a row from `at` on, clear it, and return where the list ends.

    Those that are marked or, by `whole`, all of them: without a branch, since in a crowded row it
    is not to be foreseen which inputs are active.

    Shapes: `row` and `words` as in `merge_row`; `inputs` and `values` have room for the list and,
    by `whole`, for one more.
    """
    end = np.uint64(at)
    if whole:
        for k in range(len(row)):
            inputs[end] = k
            values[end] = row[k]
            end += np.uint64(row[k] != _NOTHING)
        row[:] = _NOTHING
        words[:] = 0
    for w in range(0 if whole else len(words)):
        word = words[w]
        if word == 0:
            continue
        words[w] = 0
        while word != 0:
            k = np.uint64(w * WORD) + lowest(word)
            word &= word - _ONE
            inputs[end] = k
            values[end] = row[k]
            row[k] = _NOTHING
            end += _ONE
    stop: int = np.int64(end)  # type: ignore[assignment]
    if meaning == AS_ONE:
        values[at:stop] = np.float32(1.0)
    elif meaning == AS_RATE:
        for j in range(at, stop):
            values[j] /= length
    return stop


def mark_row_numpy(row: Bins, words: Words) -> None:
    """Do what `mark_row` does: its plain twin."""
    bits = np.zeros(len(words) * WORD, np.bool_)
    bits[: len(row)] = row != 0
    words[:] = np.packbits(bits, bitorder="little").view(np.uint64)


def merge_row_numpy(row: Bins, words: Words, into: Bins, into_words: Words, peak: bool) -> None:
    """Do what `merge_row` does: its plain twin."""
    into[:] = np.maximum(into, row) if peak else into + row
    into_words |= words
    row[:] = 0.0
    words[:] = 0


def list_row_numpy(
    row: Bins,
    words: Words,
    whole: bool,
    meaning: int,
    length: np.float32,
    inputs: Index,
    values: Bins,
    at: int,
) -> int:
    """Do what `list_row` does: its plain twin."""
    del whole
    found = np.flatnonzero(row)
    end = at + len(found)
    inputs[at:end] = found
    meant = {AS_IT_IS: row, AS_ONE: np.ones_like(row), AS_RATE: row / length}
    values[at:end] = meant[meaning][found]
    row[:] = 0.0
    words[:] = 0
    return end
