"""The window of open bins as a checkpoint keeps it: what moves, and never an address."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.binning import FOREVER, LATEST, NO_BIN, OLDEST
from retempo.runtime.bits import WORD
from retempo.runtime.errors import CheckpointError
from retempo.runtime.saved_state import Saved, taken_array, within
from retempo.runtime.window_table import (
    BEGUN,
    DT,
    FIRST,
    GATHER,
    GIVEN,
    GROUP_END,
    GROUP_FILLED,
    GROUP_OPEN,
    HEAD,
    IN_GAP,
    OPENED,
    PARTS,
    STARTED,
    WANTED,
    WORDS,
    Table,
    Window,
)

# Beyond these no bin lies, with room for sums.
_FURTHEST = 1 << 61
_FLAGS = (STARTED, BEGUN, IN_GAP, GROUP_OPEN)
_BINS = (FIRST, GROUP_END)
_BINS_OR_NONE = (LATEST, OLDEST, GIVEN)


def save_window(window: Window) -> Saved:
    """Return a copy of a window between two chunks; of its rows only those that hold events."""
    table, parts = window.table, int(window.table[PARTS])
    slots = np.flatnonzero(window.filled)
    open_group = bool(table[GROUP_OPEN])
    marks = window.marks.reshape(len(window.filled), parts, -1)
    return {
        "table": table[:DT].copy(),
        "slots": slots,
        "filled": window.filled[slots],
        "rows": window.rows[slots],
        "marks": marks[slots],
        "gathered": window.gathered.copy() if open_group else window.gathered[:0].copy(),
        "gathered_marks": window.gathered_marks.copy() if open_group else _no_marks(),
    }


def load_window(window: Window, saved: Saved) -> None:
    """Let a window in which nothing lies yet go on where a saved one stood.

    Raises:
        CheckpointError: it is the window of another layout, or no window's.
    """
    own, parts, words = window.table, int(window.table[PARTS]), int(window.table[WORDS])
    inputs = window.layout.inputs
    table = taken_array(saved, "table", np.int64, (DT,))
    _check_table(table, int(own[OPENED]))
    slots = taken_array(saved, "slots", np.int64, (None,))
    within(slots, "slots", 0, int(own[OPENED]) - 1)
    size = len(slots)
    filled = taken_array(saved, "filled", np.int64, (size,))
    within(filled, "filled", 1, FOREVER)
    rows = taken_array(saved, "rows", np.float32, (size, parts, inputs))
    marks = taken_array(saved, "marks", np.uint64, (size, parts, words))
    is_open = bool(table[GROUP_OPEN])
    gathered = taken_array(saved, "gathered", np.float32, (inputs if is_open else 0,))
    gathered_marks = taken_array(saved, "gathered_marks", np.uint64, (words if is_open else 0,))
    for each in (marks, gathered_marks):
        _check_marks(each, inputs)
    own[:DT] = table
    window.filled[slots] = filled
    window.rows[slots] = rows
    window.marks.reshape(len(window.filled), parts, words)[slots] = marks
    if is_open:
        window.gathered[:] = gathered
        window.gathered_marks[:] = gathered_marks


def _check_table(table: Table, opened: int) -> None:
    bins = table[list(_BINS_OR_NONE)]
    fits = (
        0 <= table[HEAD] < opened
        and 1 <= table[WANTED] <= FOREVER
        and 1 <= table[GATHER] <= FOREVER
        and 0 <= table[GROUP_FILLED] <= 2
        and all(table[flag] in (0, 1) for flag in _FLAGS)
        and bool((np.abs(table[list(_BINS)]) <= _FURTHEST).all())
        and bool(((bins == NO_BIN) | (np.abs(bins) <= _FURTHEST)).all())
        and (table[LATEST] == NO_BIN or table[LATEST] < table[FIRST] + opened)
    )
    if not fits:
        raise CheckpointError("the saved window of open bins is no window's")


def _check_marks(marks: NDArray[Any], inputs: int) -> None:
    """Compiled code takes every mark for an input: none may lie beyond the last."""
    beyond = inputs % WORD
    if beyond and marks.size and (marks[..., -1] >> np.uint64(beyond)).any():
        raise CheckpointError("the saved marks are of inputs that the network has not")


def _no_marks() -> NDArray[np.uint64]:
    return np.zeros(0, np.uint64)
