"""The live messages of one stream, each in one call of compiled code.

A message of some ten events closes one bin. To bin it and to step the network takes 2 us; to go in
and out of compiled code twice, with arrays made and looked at in between, takes several times that.
What a call does not step comes back to be stepped as ever.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.description import ChannelSpec
from retempo.runtime.binner import Binner
from retempo.runtime.direct_kernel import (
    AT_BESTS,
    AT_ENTRY,
    AT_GUARD,
    AT_MEAN,
    AT_SCORES,
    AT_STATE,
    AT_TABLE,
    BEGIN,
    BYTES_IF_PLAIN,
    FIELDS,
    GO_ON,
    IF_PLAIN,
    INPUTS,
    LABELS,
    MORE,
    MOST_READ,
    NUMBER,
    READ,
    RESULT,
    STARTS,
    STEP_US,
    STEPS,
    VALUES,
    YS,
    take_message,
)
from retempo.runtime.engine import Engine, EngineState
from retempo.runtime.engines.sparse.engine import SparseEngine, SparseState
from retempo.runtime.engines.sparse.entry import BAD_BINS, ENTRY
from retempo.runtime.errors import EngineError
from retempo.runtime.guard import Guard
from retempo.runtime.mean_kernel import Memory
from retempo.runtime.readouts import Mean, Readout
from retempo.runtime.sparse_bins import NO_BINS, Block
from retempo.runtime.window_table import MOST_BINS
from retempo.sensors.events import EventChunk

# The events of a message, see `sensors.packet`.
Payload = bytes | NDArray[np.uint8]


class Direct:
    """The binner and the state of one stream as one job."""

    def __init__(self, binner: Binner, state: SparseState) -> None:
        self.binner, self.state = binner, state
        self._tuning: object = None
        self._ys = state.ys
        self._call = ENTRY.call
        self.guard: Guard | None = None
        self.readout: Readout | None = None
        self._memory: Memory | None = None
        self._grid = None if isinstance(binner.layout.spec.geometry, ChannelSpec) else True
        window = binner.window
        self._most_bins = int(window.table[MOST_BINS])
        self._table = table = np.zeros(FIELDS, np.int64)
        self._at = int(table.ctypes.data)
        # Its numbers are written and read through this in half the time that the array takes.
        self._job = job = table.data
        job[AT_TABLE] = window.table.ctypes.data
        job[AT_ENTRY] = ENTRY.address
        job[AT_STATE] = state.memory.address
        job[LABELS] = state.y.shape[1]
        # Array objects: where their data lie is seen by the engine.
        job[STARTS], job[INPUTS] = id(window.starts), id(window.inputs)
        job[VALUES] = id(window.values)
        # Behind the bins of the last message that a mean has read: `(bins, labels)`, `(bins,)`.
        self.scores: Memory = np.zeros((MOST_READ, job[LABELS]))
        self.bests: NDArray[np.int64] = np.zeros(MOST_READ, np.int64)
        job[AT_SCORES], job[AT_BESTS] = self.scores.ctypes.data, self.bests.ctypes.data

    def serves(self, binner: object, state: EngineState) -> bool:
        """Whether it is the job of these two."""
        return self.binner is binner and self.state is state

    def take(self, chunk: EventChunk, clock_us: Callable[[], float]) -> Iterator[Block]:
        """Yield the blocks that a message closes, as `Binner.feed` does, but stepped.

        A block of another length than the state is tuned for is yet to be stepped.

        Args:
            chunk: with a packet, see `sensors.events.unread_chunk`.
            clock_us: the clock of the pipeline.

        Raises:
            EngineError: the bins are none of the engine's.
        """
        if chunk.lost:
            self.binner.lose(chunk.lost)
        return self._blocks(chunk, clock_us)

    def _blocks(self, chunk: EventChunk, clock_us: Callable[[], float]) -> Iterator[Block]:
        job, state, packet = self._job, self.state, chunk.packet
        assert packet is not None  # noqa: S101
        how, more = BEGIN, True
        while more:
            began_us = clock_us()
            if state.tuning is not self._tuning or state.ys is not self._ys:
                self._tune()
            # Names for its many numbers would take longer than some of what they say.
            at, n, t_us = id(packet.raw), packet.count, packet.t_start_us
            take_message(self._at, at, n, t_us, chunk.t_end_us, how, self._grid)
            how, more = GO_ON, job[MORE] == 1
            block = self.block(clock_us, began_us)
            if block is not None:
                yield block

    def read_by(self, guard: Guard | None, readout: Readout) -> None:
        """Let `take_plain` ask a guard, and read bins by a readout where that is the mean."""
        job, self.guard, self.readout = self._job, guard, readout
        job[AT_GUARD] = 0 if guard is None else guard.address
        self._memory, job[AT_MEAN] = None, 0
        if isinstance(readout, Mean):
            self._memory = readout.memory(job[LABELS], job[STEP_US])
            job[AT_MEAN] = self._memory.ctypes.data

    def take_plain(self, payload: Payload, count: int, t_start_us: int, t_end_us: int) -> int:
        """Take a message if it is plain: a few events, all of them believed, that close few bins.

        Args:
            payload: of the length that `count` says: bytes, or the array of a packet.
            count: how many events there are.
            t_start_us: as the header says.
            t_end_us: the same.

        Returns:
            How many bins it has closed, see `read` and `block`; -1 where it is not plain and
            nothing has happened.
        """
        state = self.state
        if state.tuning is not self._tuning or state.ys is not self._ys:
            self._tune()
        how = BYTES_IF_PLAIN if type(payload) is bytes else IF_PLAIN
        return take_message(self._at, id(payload), count, t_start_us, t_end_us, how, self._grid)

    def read(self) -> int | None:
        """Return the number of the first bin that was closed, if any; see `scores` and `bests`.

        None unless a mean has read all that were closed, and every event of the message was
        binned: nothing of it is left to be counted.
        """
        job = self._job
        return job[NUMBER] if job[READ] else None

    def block(self, clock_us: Callable[[], float], began_us: float) -> Block | None:
        """Return what the last call, which began at `began_us`, has closed."""
        job, binner, more = self._job, self.binner, self._job[MORE] == 1
        if not job[STEPS]:
            return binner.taken(more)
        first, bins, _, n = binner.placed()
        if job[RESULT] != bins:
            self._go_on(bins)
        took_us = clock_us() - began_us
        return Block(first, n * binner.dt_us, NO_BINS, more, self._ys[:bins], took_us)

    def _go_on(self, bins: int) -> None:
        """Step what is left of a block: the engine asks for its plan of silence."""
        job, memory = self._job, self.state.memory
        lists = (job[STARTS], job[INPUTS], job[VALUES], job[YS])
        while (done := job[RESULT]) != bins:
            if done == BAD_BINS:
                raise EngineError("a binner listed inputs that there are not; please report this")
            memory.plan(self.state.tuning.plan)
            job[RESULT] = self._call(job[AT_STATE], *lists, done, bins)

    def _tune(self) -> None:
        state = self.state
        if len(state.ys) < self._most_bins:
            state.ys = np.zeros((self._most_bins, state.y.shape[1]), np.float32)
        self._tuning, self._ys = state.tuning, state.ys
        self._job[STEP_US], self._job[YS] = state.resolution.dt_us, id(state.ys)
        if isinstance(self.readout, Mean):
            self.readout.memory(self._job[LABELS], self._job[STEP_US])


def direct_of(engine: Engine, binner: object, state: EngineState) -> Direct | None:
    """Return the job of a stream, None where its engine is another than `sparse`."""
    if isinstance(engine, SparseEngine) and isinstance(binner, Binner) and state.batch == 1:
        assert isinstance(state, SparseState)  # noqa: S101  (a state comes from its own engine)
        return Direct(binner, state)
    return None
