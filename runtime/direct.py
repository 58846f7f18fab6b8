"""One live message in one call of compiled code: its bytes binned, the closed bins stepped.

A message of some ten events closes one bin. To bin it and to step the network takes 2 us; to go in
and out of compiled code twice, with arrays made and looked at in between, takes several times that.
So the window of a binner and the memory of the engine `sparse` are one job, a table of whole
numbers. What this does not step comes back to be stepped as ever.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime.binner import Binner
from retempo.runtime.binning import NO_BIN, Counts, Events, events_of
from retempo.runtime.engine import Engine, EngineState
from retempo.runtime.engines.sparse.engine import SparseEngine, SparseState
from retempo.runtime.engines.sparse.entry import BAD_BINS, ENTRY
from retempo.runtime.errors import EngineError
from retempo.runtime.pointers import call_entry, pointer
from retempo.runtime.sparse_bins import Block
from retempo.runtime.window import advance
from retempo.runtime.window_table import (
    BLOCK_BINS,
    DT,
    ENTRIES,
    GATHER,
    MOST_BINS,
    POSITION,
    T_END,
    TARGET,
)
from retempo.sensors.events import EventChunk

# What the engine tells, then what a call tells, then what stays as it is.
(
    RESULT,  # how many of the closed bins are stepped
    EXCEPTION,
    MORE,  # whether the call has to be made again for this chunk
    CLOSED,  # how many bins were closed
    STEPS,  # whether they are of the length that the state is tuned for, and are stepped
    STEP_US,
    AT_JOB,
    AT_TABLE,
    AT_ENTRY,
    AT_STATE,
    STARTS,
    INPUTS,
    VALUES,
    YS,
    FIELDS,
) = range(15)


@njit(cache=True, nogil=True, error_model="numpy")
def bin_and_step(
    j: Counts, events: Events, t_end_us: int, begins: bool
) -> None:  # pragma: no cover - compiled
    """Go on with a chunk as `window.advance` does, and step what it closes as the engine does.

    Args:
        j: the job, `(FIELDS,)`.
        events: of the chunk, the same in each call for it.
        t_end_us: its watermark.
        begins: whether it is a new one.
    """
    t = carray(pointer(j[AT_TABLE]), (ENTRIES,), np.int64)
    if begins:
        t[POSITION] = 0
        t[T_END] = t_end_us
        t[TARGET] = NO_BIN
    j[MORE] = advance(t, events, True)
    j[CLOSED] = t[BLOCK_BINS]
    j[STEPS] = t[BLOCK_BINS] > 0 and t[GATHER] * t[DT] == j[STEP_US]
    if j[STEPS]:
        at, begin = j[AT_JOB], np.int64(0)
        room = at + 8 * RESULT, at + 8 * EXCEPTION
        lists = j[STARTS], j[INPUTS], j[VALUES]
        call_entry(j[AT_ENTRY], *room, j[AT_STATE], *lists, j[YS], begin, j[CLOSED])


class Direct:
    """The binner and the state of one stream as one job."""

    def __init__(self, binner: Binner, state: SparseState) -> None:
        self._binner, self._state = binner, state
        self._tuning: object = None
        self._ys = state.ys
        self._call = ENTRY.call
        window = binner.window
        self._most_bins = int(window.table[MOST_BINS])
        self._table = table = np.zeros(FIELDS, np.int64)
        # Its numbers are written and read through this in half the time that the array takes.
        self._job = job = table.data
        job[AT_JOB] = table.ctypes.data
        job[AT_TABLE] = window.table.ctypes.data
        job[AT_ENTRY] = ENTRY.address
        job[AT_STATE] = state.memory.address
        # Array objects: where their data lie is seen by the engine.
        job[STARTS], job[INPUTS] = id(window.starts), id(window.inputs)
        job[VALUES] = id(window.values)

    def serves(self, binner: object, state: EngineState) -> bool:
        """Whether it is the job of these two."""
        return self._binner is binner and self._state is state

    def take(self, chunk: EventChunk, clock_us: Callable[[], float]) -> Iterator[Block]:
        """Yield the blocks that a chunk closes, as `Binner.feed` does, but stepped.

        A block of another length than the state is tuned for is yet to be stepped.

        Raises:
            EngineError: the bins are none of the engine's.
        """
        binner, job, state, table = self._binner, self._job, self._state, self._table
        events, t_end_us = events_of(chunk), chunk.t_end_us
        if chunk.lost:
            binner.lose(chunk.lost)
        begins, more = True, True
        while more:
            began_us = clock_us()
            if state.tuning is not self._tuning or state.ys is not self._ys:
                self._tune()
            bin_and_step(table, events, t_end_us, begins)
            begins, more = False, job[MORE] == 1
            if job[STEPS]:
                if job[RESULT] != job[CLOSED]:
                    self._go_on()
                block = binner.stepped(more, self._ys, clock_us() - began_us)
            else:
                block = binner.taken(more)
            if block is not None:
                yield block

    def _go_on(self) -> None:
        """Step what is left of a block: the engine asks for its plan of silence."""
        job, memory = self._job, self._state.memory
        lists = (job[STARTS], job[INPUTS], job[VALUES], job[YS])
        while (done := job[RESULT]) != job[CLOSED]:
            if done == BAD_BINS:
                raise EngineError("a binner listed inputs that there are not; please report this")
            memory.plan(self._state.tuning.plan)
            job[RESULT] = self._call(job[AT_STATE], *lists, done, job[CLOSED])

    def _tune(self) -> None:
        state = self._state
        if len(state.ys) < self._most_bins:
            state.ys = np.zeros((self._most_bins, state.y.shape[1]), np.float32)
        self._tuning, self._ys = state.tuning, state.ys
        self._job[STEP_US], self._job[YS] = state.resolution.dt_us, id(state.ys)


def direct_of(engine: Engine, binner: object, state: EngineState) -> Direct | None:
    """Return the job of a stream, None where its engine is another than `sparse`."""
    if isinstance(engine, SparseEngine) and isinstance(binner, Binner) and state.batch == 1:
        assert isinstance(state, SparseState)  # noqa: S101  (a state comes from its own engine)
        return Direct(binner, state)
    return None
