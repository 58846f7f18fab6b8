"""One live message in one call of compiled code: its bytes binned, the closed bins stepped.

A message of some ten events closes one bin. To bin it and to step the network takes 2 us; to go in
and out of compiled code twice, with arrays made and looked at in between, takes several times that.
So the window of the binner and the memory of the engine `sparse` are one job, a table of whole
numbers, and the call takes its address. What this does not step comes back to be stepped as ever.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from retempo.runtime import binning, closing, window, window_lists, window_table
from retempo.runtime.binner import Binner
from retempo.runtime.binning import NO_BIN
from retempo.runtime.engine import Engine, EngineState
from retempo.runtime.engines.sparse.ahead import Ahead, data_of
from retempo.runtime.engines.sparse.engine import SparseEngine, SparseState
from retempo.runtime.engines.sparse.entry import BAD_BINS, ENTRY, enter
from retempo.runtime.errors import EngineError
from retempo.runtime.pointers import pointer
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

# What a call is told and tells, then what stays as it is.
(
    RESULT,  # how many of the closed bins are stepped
    EXCEPTION,
    RAW,
    COUNT,
    T_START,
    T_END_OF_CHUNK,
    GRID,
    BEGINS,  # whether the chunk is a new one
    GOES_ON,  # whether the closed bins are to be stepped from `BEGIN` on, and nothing else
    BEGIN,
    MORE,  # whether the call has to be made again for this chunk
    CLOSED,  # how many bins were closed
    STEPS,  # whether they are of the length that the state is tuned for, and are stepped
    STEP_US,
    AT_TABLE,
    AT_STATE,
    STARTS,
    INPUTS,
    VALUES,
    YS,
    FIELDS,
) = range(21)

_enter = njit(error_model="numpy")(enter)


def bin_and_step(job: int) -> int:  # pragma: no cover - compiled
    """Go on with a chunk as `window.advance` does, and step what it closes as `entry.enter` does.

    Args:
        job: the address of a table of `FIELDS`; arrays in it are array objects, by `id`.

    Returns:
        How many of the `CLOSED` bins are stepped, none unless `STEPS`; `BAD_BINS` as `enter`.
    """
    j = carray(pointer(job), (FIELDS,), np.int64)
    t = carray(pointer(j[AT_TABLE]), (ENTRIES,), np.int64)
    if not j[GOES_ON]:
        if j[BEGINS]:
            t[POSITION] = 0
            t[T_END] = j[T_END_OF_CHUNK]
            t[TARGET] = NO_BIN
        count, t_start_us = j[COUNT], j[T_START]
        if j[GRID]:
            raw = carray(pointer(data_of(j[RAW])), (7 * count,), np.uint8)
            j[MORE] = advance(t, (raw, count, t_start_us), True)
        else:
            raw = carray(pointer(data_of(j[RAW])), (4 * count,), np.uint8)
            j[MORE] = advance(t, (raw, count, t_start_us, None), True)
        j[CLOSED] = t[BLOCK_BINS]
        j[STEPS] = t[BLOCK_BINS] > 0 and t[GATHER] * t[DT] == j[STEP_US]
    if not j[STEPS]:
        return 0
    done: int = _enter(
        j[AT_STATE], j[STARTS], j[INPUTS], j[VALUES], j[YS], j[BEGIN], j[CLOSED]
    )
    return done


KERNEL = Ahead(
    bin_and_step,
    [
        sys.modules[__name__],
        *(binning, closing, window, window_lists, window_table),
        *ENTRY._sources,  # noqa: SLF001  (the kernel within is that of the engine)
    ],
)


class Direct:
    """The binner and the state of one stream as one job."""

    def __init__(self, binner: Binner, state: SparseState) -> None:
        self.state = state
        self._binner = binner
        window = binner.window
        self._most_bins = int(window.table[MOST_BINS])
        job = np.zeros(FIELDS, np.int64)
        job[[AT_TABLE, AT_STATE]] = window.table.ctypes.data, state.memory.address
        job[[STARTS, INPUTS, VALUES]] = id(window.starts), id(window.inputs), id(window.values)
        address = job.ctypes.data
        self._room = address, address + 8 * EXCEPTION, address
        # Numbers are written and read through it in half the time that the array takes.
        self._job = memoryview(job)
        self._call = KERNEL.call
        self._tuning: object = None
        self._ys = state.ys

    def take(self, chunk: EventChunk, clock_us: Callable[[], float]) -> Iterator[Block]:
        """Yield the blocks that the packet of a chunk closes, as `Binner.feed` does, but stepped.

        A block of another length than the state is tuned for is yet to be stepped.

        Raises:
            EngineError: the bins are none of the engine's.
        """
        packet, job, state = chunk.packet, self._job, self.state
        assert packet is not None  # noqa: S101  (who has none is binned by itself)
        raw = packet.raw
        self._binner.lose(chunk.lost)
        begins, more = True, True
        while more:
            began_us = clock_us()
            if state.tuning is not self._tuning or state.ys is not self._ys:
                self._tune()
            job[RAW], job[COUNT], job[T_START] = id(raw), packet.count, packet.t_start_us
            job[T_END_OF_CHUNK], job[GRID], job[BEGINS] = chunk.t_end_us, packet.grid, begins
            self._call(*self._room)
            begins, more = False, job[MORE] == 1
            if job[RESULT] != job[CLOSED] and job[STEPS]:
                self._go_on()
            ys = self._ys if job[STEPS] else None
            block = self._binner.taken(more=more, ys=ys, took_us=clock_us() - began_us)
            if block is not None:
                yield block

    def _go_on(self) -> None:
        """Step what is left of a block: the engine asks for its plan of silence."""
        job, state = self._job, self.state
        while (done := job[RESULT]) != job[CLOSED]:
            if done == BAD_BINS:
                raise EngineError("a binner has listed inputs that there are not; please report it")
            state.memory.plan(state.tuning.plan)
            job[BEGIN] = done
            job[GOES_ON] = 1
            self._call(*self._room)
            job[GOES_ON] = job[BEGIN] = 0

    def _tune(self) -> None:
        state = self.state
        if len(state.ys) < self._most_bins:
            state.ys = np.zeros((self._most_bins, state.y.shape[1]), np.float32)
        self._tuning, self._ys = state.tuning, state.ys
        self._job[STEP_US], self._job[YS] = state.resolution.dt_us, id(state.ys)


def direct_of(engine: Engine, binner: Binner, state: EngineState) -> Direct | None:
    """Return the job of a stream, None where its engine is another than `sparse`."""
    if isinstance(engine, SparseEngine) and isinstance(state, SparseState) and state.batch == 1:
        return Direct(binner, state)
    return None
