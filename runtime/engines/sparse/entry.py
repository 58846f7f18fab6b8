"""The engine's one way into compiled code: a dense step, a run of bins, waking up."""

import sys

import numpy as np

from retempo.runtime import bits
from retempo.runtime.engines.sparse import (
    arena,
    kernel,
    layer,
    lists,
    products,
    program,
    silence,
    upswings,
)
from retempo.runtime.engines.sparse.ahead import Ahead
from retempo.runtime.engines.sparse.arena import (
    AWAKE,
    BATCH,
    INPUTS_OF_BIN,
    LOADED,
    OF_BIN,
    PLACES,
    POSITION,
    SILENT,
    SLEPT,
    SUBSTEPS,
    active_of,
    carried_of,
    fired_of,
    rest_of,
    table_of,
    x_of,
    y_of,
)
from retempo.runtime.engines.sparse.kernel import needs_plan, step_stream
from retempo.runtime.engines.sparse.lists import are_lists
from retempo.runtime.engines.sparse.products import copy, find_active, jit
from retempo.runtime.engines.sparse.silence import wake
from retempo.runtime.engines.sparse.views import array_of, data_of

# What the number of bins says where it is none.
STEP, WAKE = 0, -1
# Results that are not the number of bins done.
BAD_BINS, ODD_BINS = -1, -2

_starts, _inputs, _floats = array_of(np.int64), array_of(np.int32), array_of(np.float32)


def enter(
    table: int, starts: int, inputs: int, values: int, y: int, begin: int, bins: int
) -> int:  # pragma: no cover - compiled
    """Step the streams of a table.

    Args:
        table: its address.
        starts: the array objects of `SparseBins`, by `id`: of the right types, contiguous.
        inputs: the same.
        values: the same.
        y: the array object that gets `y` of every bin, `(at least bins, labels)`.
        begin: the first of the bins to step.
        bins: behind the last; `STEP` steps all streams by `x`; `WAKE` wakes them, so that their
            values are those of now.

    Returns:
        How many bins are done, of a `STEP` 1. Fewer than asked for if the plan of silence is needed
        for the next. `BAD_BINS` if an input does not exist, `ODD_BINS` if an array is none that the
        kernel reads; nothing is done then.
    """
    a = table
    if bins == STEP:
        return _step(a)
    if bins == WAKE:
        for b in range(table_of(a)[BATCH]):
            if rest_of(a)[b, SLEPT] != AWAKE:
                wake(a, b)
            rest_of(a)[b, SILENT] = 0
        return 0
    if begin == 0 and not are_lists(a, starts, inputs, values, bins):
        return ODD_BINS
    starts_ = _starts(data_of(starts), (bins + 1,))
    entries = starts_[bins]
    inputs_ = _inputs(data_of(inputs), (entries,))
    values_ = _floats(data_of(values), (entries,))
    y_ = _floats(data_of(y), (bins, y_of(a).shape[1]))
    if begin == 0:
        if not _are_bins(starts_, inputs_, table_of(a)[INPUTS_OF_BIN]):
            return BAD_BINS
        fired_of(a)[0] = np.float32(0.0)
    # Not 0 itself, for which, as a literal, all would be compiled a second time.
    one: int = np.int64(0)  # type: ignore[assignment]
    for k in range(begin, bins):
        first, end = starts_[k], starts_[k + 1]
        if first == end and needs_plan(a, one):
            return k
        step_stream(a, one, inputs_[first:end], values_[first:end])
        _move_on(a)
        copy(y_of(a)[0], y_[k])
    return bins


@jit
def _step(a: int) -> int:  # pragma: no cover - compiled
    for b in range(table_of(a)[BATCH]):
        if needs_plan(a, b):
            return 0
    for b in range(table_of(a)[BATCH]):
        fired_of(a)[b] = np.float32(0.0)
        found = find_active(x_of(a)[b], active_of(a)[OF_BIN], carried_of(a)[OF_BIN])
        step_stream(a, b, active_of(a)[OF_BIN, :found], carried_of(a)[OF_BIN, :found])
    _move_on(a)
    return 1


@jit
def _move_on(a: int) -> None:  # pragma: no cover - compiled
    substeps = table_of(a)[SUBSTEPS]
    table_of(a)[POSITION] = (table_of(a)[POSITION] + substeps) % table_of(a)[PLACES]
    loaded = table_of(a)[LOADED] - substeps
    table_of(a)[LOADED] = loaded if loaded > 0 else 0


@jit
def _are_bins(
    starts: program.Table, inputs: products.Index, size: int
) -> bool:  # pragma: no cover - compiled
    fits = starts[0] >= 0
    for k in range(len(starts) - 1):
        fits &= starts[k] <= starts[k + 1]
    for j in range(len(inputs)):
        fits &= 0 <= inputs[j] < size
    return bool(fits)


_FORMULAS = [sys.modules[upswing.value.__module__] for upswing in upswings.UPSWINGS]
ENTRY = Ahead(
    enter,
    [
        sys.modules[__name__],
        *(bits, arena, kernel, layer, lists, products, program, silence, upswings),
        *_FORMULAS,
    ],
)
