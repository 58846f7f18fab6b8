"""One live message in one call of compiled code: its bytes binned, the closed bins stepped.

A job is a table of whole numbers: the window of a binner, the memory of the engine `sparse`, the
guard and the mean of one stream, each by its address, and what a call tells.
"""

from typing import Any

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime.binning import BINNED, LATEST, NO_BIN, Counts
from retempo.runtime.engines.sparse.views import data_of
from retempo.runtime.guard_kernel import SLOTS, pass_plainly, span_of
from retempo.runtime.mean_kernel import TOTALS, add_bin
from retempo.runtime.pointers import call_entry, pointer
from retempo.runtime.window import advance
from retempo.runtime.window_table import (
    BLOCK_BINS,
    BLOCK_FIRST,
    DT,
    ENTRIES,
    FIRST,
    GATHER,
    MOST_BINS,
    POSITION,
    SILENCE,
    STARTED,
    T_END,
    TARGET,
    WANTED,
    Table,
)

# What the engine tells, then what a call tells, then what stays as it is.
(
    RESULT,  # how many of the closed bins are stepped
    EXCEPTION,
    MORE,  # whether the call has to be made again for this message
    STEPS,  # whether the closed bins are of the length that the state is tuned for, and are stepped
    READ,  # whether the mean has taken all bins that were closed, and every event was binned
    NUMBER,  # of the first of those bins, if any
    STEP_US,
    AT_TABLE,
    AT_ENTRY,
    AT_STATE,
    STARTS,
    INPUTS,
    VALUES,
    YS,
    AT_GUARD,  # 0 where every time is believed
    AT_MEAN,  # 0 for another readout
    AT_SCORES,  # behind each bin that the mean has taken, and the label of the highest
    AT_BESTS,
    LABELS,
    FIELDS,
) = range(20)

# How a message is taken: further on, from its begin, or from its begin if it is plain: the array of
# a packet, or bytes.
GO_ON, BEGIN, IF_PLAIN, BYTES_IF_PLAIN = range(4)
# It is not, and nothing has happened.
NOT_PLAIN = -1
# More events, or bins, take so long that it matters little how they are taken.
MOST_EVENTS, MOST_READ = 4_096, 64
# Where an object of bytes keeps them: behind its head, before the zero that ends them.
BYTES_AT = bytes.__basicsize__ - 1


@njit(cache=True, nogil=True, error_model="numpy")
def take_message(
    at_job: int,
    payload: int,
    count: int,
    t_start_us: int,
    t_end_us: int,
    how: int,
    grid: bool | None,
) -> int:  # pragma: no cover - compiled
    """Go on with a message as `window.advance` does, and step what it closes as the engine does.

    Args:
        at_job: the address of the job, `(FIELDS,)`.
        payload: by `id`: `bytes` with `BYTES_IF_PLAIN`, else the array of a packet.
        count: of its events.
        t_start_us: see `sensors.packet.Packet`.
        t_end_us: its watermark.
        how: if it is plain a message passes the guard and closes few bins, and they are read by
            the mean.
        grid: None for a channel sensor.

    Returns:
        How many bins were closed, or `NOT_PLAIN`.
    """
    j = carray(pointer(at_job), (FIELDS,), np.int64)
    t = carray(pointer(j[AT_TABLE]), (ENTRIES,), np.int64)
    at = payload + BYTES_AT if how == BYTES_IF_PLAIN else data_of(payload)
    raw = carray(pointer(at), ((4 if grid is None else 7) * count,), np.uint8)
    plain = how >= IF_PLAIN
    if plain and not _is_plain(j, t, raw, count, t_start_us, t_end_us, grid):
        return NOT_PLAIN
    if how != GO_ON:
        t[POSITION] = 0
        t[T_END] = t_end_us
        t[TARGET] = NO_BIN
    if grid is None:
        j[MORE] = advance(t, (raw, count, t_start_us, None), True)
    else:
        j[MORE] = advance(t, (raw, count, t_start_us), True)
    closed = t[BLOCK_BINS]
    j[STEPS] = closed > 0 and t[GATHER] * t[DT] == j[STEP_US]
    j[READ] = 0
    if j[STEPS]:
        begin = np.int64(0)
        room = at_job + 8 * RESULT, at_job + 8 * EXCEPTION
        lists = j[STARTS], j[INPUTS], j[VALUES]
        call_entry(j[AT_ENTRY], *room, j[AT_STATE], *lists, j[YS], begin, closed)
    if plain and t[BINNED] == count and not j[MORE]:
        j[READ] = closed == 0 or _read(j, closed)
        j[NUMBER] = t[BLOCK_FIRST]
    return int(closed)


@njit(cache=True, nogil=True, error_model="numpy")
def _read(j: Counts, closed: int) -> bool:  # pragma: no cover - compiled
    """Let the mean take the bins that were closed, if all are stepped and it takes any."""
    if not j[STEPS] or j[RESULT] != closed or closed > MOST_READ or j[AT_MEAN] == 0:
        return False
    labels = j[LABELS]
    memory = carray(pointer(j[AT_MEAN]), (TOTALS + 2 * labels,), np.float64)
    ys = carray(pointer(data_of(j[YS])), (closed, labels), np.float32)
    scores = carray(pointer(j[AT_SCORES]), (closed, labels), np.float64)
    bests = carray(pointer(j[AT_BESTS]), (closed,), np.int64)
    for k in range(closed):
        bests[k] = add_bin(memory, ys[k])
        for label in range(labels):
            scores[k, label] = memory[TOTALS + labels + label]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _is_plain(
    j: Counts, t: Table, raw: Any, count: int, t_start_us: int, t_end_us: int, grid: bool | None
) -> bool:  # pragma: no cover - compiled
    """Whether a message is what nearly all are; the guard has then moved on behind it."""
    if count > MOST_EVENTS or not t[STARTED]:
        return False
    if t[WANTED] != t[GATHER] or t[GATHER] * t[DT] != j[STEP_US]:
        return False
    if grid is not None:
        worst = np.uint8(0)
        for k in range(6 * count, 7 * count):
            worst = max(worst, raw[k])
        if worst > 1:
            return False
    first_us, low_us, high_us = span_of(raw, count, t_start_us)
    top = (max(high_us, t_end_us) if count else t_end_us) // t[DT]
    if top - t[FIRST] >= t[MOST_BINS]:
        return False
    # Behind a silence that is too long there is a gap, and with it another block.
    if t[LATEST] == NO_BIN or top - t[LATEST] > t[SILENCE]:
        return False
    if j[AT_GUARD] == 0:
        return True
    guard = carray(pointer(j[AT_GUARD]), (SLOTS,), np.int64)
    return bool(pass_plainly(guard, count, first_us, low_us, high_us, t_end_us))
