"""The arrays of some streams, and the table by which the kernel finds them."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.bits import WORD
from retempo.runtime.engines.sparse.aligned import aligned_zeros
from retempo.runtime.engines.sparse.arena import (
    AT_ACTIVE,
    AT_BOUNDS,
    AT_CARRIED,
    AT_COEFFICIENTS,
    AT_COUNTS,
    AT_FIRED,
    AT_LAYERS,
    AT_LOADS,
    AT_POWERS,
    AT_REST,
    AT_RING,
    AT_SUMS,
    AT_VALUES,
    AT_WEIGHTS,
    AT_X,
    AT_Y,
    AWAKE,
    BATCH,
    COEFFICIENTS,
    ENTRIES,
    FLOAT32,
    INPUTS_OF_BIN,
    INT32,
    INT64,
    LABELS,
    LAG,
    LAYERS,
    LISTS,
    LOADED,
    LOADS,
    NDARRAY,
    NEWER,
    PADDED,
    PLACES,
    PLANNED,
    POSITION,
    RESTFUL,
    RESTS,
    SLEPT,
    SPIKING_OF_ALL,
    STATES,
    SUBSTEPS,
    SUMS,
    WEIGHTS,
    WIDEST,
)
from retempo.runtime.engines.sparse.program import Floats, Program, Table
from retempo.runtime.engines.sparse.relay import RELAY, sizes_of
from retempo.runtime.engines.sparse.silence import Plan, is_restful
from retempo.runtime.engines.sparse.tuning import Tuning

_SILENCES = (AT_BOUNDS, AT_POWERS)


class Memory:
    """The arrays of `batch` streams, which must live as long as the table that points at them.

    For their shapes see `arena.Arena`.
    """

    def __init__(self, program: Program, tuning: Tuning, batch: int, inputs: int) -> None:
        padded = -(-inputs // WORD) * WORD
        widest = max(program.widest, padded)
        layers = len(program.layers)
        self.program = program
        self.x: Floats = aligned_zeros((batch, padded), np.float32)
        self.y: Floats = aligned_zeros((batch, program.labels), np.float32)
        self.values: Floats = aligned_zeros((batch, program.state_size), np.float32)
        self.fired: Floats = aligned_zeros((batch, program.spiking), np.float32)
        self.rest: Table = aligned_zeros((batch, RESTS), np.int64)
        self.rest[:, SLEPT] = AWAKE
        self._sums = aligned_zeros((SUMS, widest), np.float32)
        self._active = aligned_zeros((LISTS, widest), np.int32)
        self._carried = aligned_zeros((LISTS, widest), np.float32)
        self.table: Table = np.zeros(ENTRIES, np.int64)
        self.address: int = self.table.ctypes.data
        self._floats = self.table.view(np.float64)
        self.table[[BATCH, LAYERS, INPUTS_OF_BIN, PADDED]] = batch, layers, inputs, padded
        self.table[[STATES, SPIKING_OF_ALL]] = program.state_size, program.spiking
        self.table[[WIDEST, LABELS]] = widest, program.labels
        self.table[[NDARRAY, INT64, INT32, FLOAT32]] = [
            id(np.ndarray),
            *(id(np.dtype(each)) for each in (np.int64, np.int32, np.float32)),
        ]
        self.table[[WEIGHTS, RESTFUL]] = len(program.weights), is_restful(program)
        self._point(AT_LAYERS, program.layers)
        self._point(AT_WEIGHTS, program.weights)
        self._point(AT_X, self.x)
        self._point(AT_Y, self.y)
        self._point(AT_VALUES, self.values)
        self._point(AT_FIRED, self.fired)
        self._point(AT_REST, self.rest)
        self._point(AT_SUMS, self._sums)
        self._point(AT_ACTIVE, self._active)
        self._point(AT_CARRIED, self._carried)
        self._tune(tuning)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "the memory of a state holds addresses and cannot be copied; use the engine's "
            "save_state and load_state"
        )

    def retune(self, tuning: Tuning, ages: list[int]) -> None:
        """Go on by other coefficients; spikes of age `k` are from now on `ages[k - 1]` old.

        The streams must be awake.
        """
        ring, loads, counts = self.ring, self.loads, self.counts
        places, position = (int(each) for each in self.table[[PLACES, POSITION]])
        loaded = bool(self.table[LOADED])
        self._tune(tuning)
        often: Floats = np.zeros(self.ring.shape, np.float32)
        sizes = sizes_of(
            self.program.layers,
            self.program.spiking,
            batch=len(self.values),
            loaded=loaded,
            places=places,
            position=position,
            to_places=tuning.lag + 1,
            ages=ages,
        )
        arrays = (
            *(sizes, self.program.layers, ring, loads, counts),
            *(self.ring, often, self.counts, self._sums[0]),
        )
        self.load(often, RELAY.call(*(id(each) for each in arrays)))

    def load(self, often: Floats, youngest: int) -> None:
        """Take how often each spike of the ring counts; none is younger that counts twice."""
        if youngest:
            self.loads: Floats = often
            self._point(AT_LOADS, often)
            self.table[[LOADS, LOADED]] = self.program.spiking, self.table[LAG] - youngest + 1

    def plan(self, plan: Plan) -> None:
        """Take the plan of silence of the coefficients."""
        self._plan = plan
        self.table[PLANNED] = self.program.spiking
        for entry, array in zip(_SILENCES, (plan.bounds, plan.powers), strict=True):
            self._point(entry, array)

    def _tune(self, tuning: Tuning) -> None:
        batch, places = len(self.values), tuning.lag + 1
        self.coefficients = tuning.coefficients
        self.ring = np.zeros((batch, places, self.program.spiking), np.int32)
        self.loads = np.zeros((batch, places, 0), np.float32)
        self.counts: Table = np.zeros((batch, places, len(self.program.layers)), np.int64)
        self.table[COEFFICIENTS] = len(tuning.coefficients)
        self.table[[PLACES, LAG, SUBSTEPS]] = places, tuning.lag, tuning.substeps
        self.table[[POSITION, LOADED, LOADS, PLANNED]] = 0
        self._floats[NEWER] = tuning.newer
        self._point(AT_COEFFICIENTS, tuning.coefficients)
        self._point(AT_RING, self.ring)
        self._point(AT_LOADS, self.loads)
        self._point(AT_COUNTS, self.counts)
        for entry in _SILENCES:
            self.table[entry] = self.address  # of no length until it is planned

    def _point(self, entry: int, array: NDArray[Any]) -> None:
        assert array.flags.c_contiguous  # noqa: S101
        self.table[entry] = array.__array_interface__["data"][0]

    @property
    def position(self) -> int:
        """The place of the ring that the next inner step writes."""
        return int(self.table[POSITION])
