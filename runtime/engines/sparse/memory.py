"""The kernel's arrays behind one table of addresses.

A call into compiled code unpacks each array that it is given, and counts references to it at every
view that the code makes: 3 us a step for the two dozen arrays of a step, as much as a small network
takes. Here the call takes one table of whole numbers, and the arrays are made from it inside.
"""

from typing import Any, NoReturn

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.kernel import LISTS, SUMS, step_bin
from retempo.runtime.engines.sparse.products import BLOCK_WORDS
from retempo.runtime.engines.sparse.program import FIELDS, Floats, Program, Table

# What the table holds: sizes and where the stream stands, then the addresses.
(
    BATCH,
    LAYERS,
    PADDED,
    STATES,
    RISES,
    SPIKING,
    WIDEST,
    ABOVE,
    LABELS,
    WEIGHTS,
    COEFFICIENTS,
    PLACES,
    LAG,
    SUBSTEPS,
    POSITION,
    AT_LAYERS,
    AT_WEIGHTS,
    AT_COEFFICIENTS,
    AT_X,
    AT_VALUES,
    AT_UPSWING,
    AT_RING,
    AT_COUNTS,
    AT_FIRED,
    AT_SUMS,
    AT_ACTIVE,
    AT_LOADS,
    AT_ABOVE,
    AT_Y,
    ENTRIES,
) = range(30)


class Memory:
    """The arrays of `batch` streams, which must live as long as the table that points at them.

    Shapes: `x` `(batch, inputs padded)`, `y` `(batch, labels)`, `values` and `upswing` `(batch,
    state size)`, `ring` `(batch, places, spiking)`, `counts` `(batch, places, layers)`, `fired`
    `(batch, spiking)`; see `kernel.step_bin`.
    """

    def __init__(
        self,
        program: Program,
        coefficients: Floats,
        *,
        batch: int,
        inputs: int,
        labels: int,
        lag: int,
        substeps: int,
        rises: bool,
    ) -> None:
        # Whole blocks of words, so that silence is passed over many inputs at a time.
        block = 2 * BLOCK_WORDS
        padded = -(-inputs // block) * block
        widest = max(program.widest, padded)
        places = lag + 1
        self.program = program
        self.coefficients = coefficients
        self.x: Floats = np.zeros((batch, padded), np.float32)
        self.y: Floats = np.zeros((batch, labels), np.float32)
        self.values: Floats = np.zeros((batch, program.state_size), np.float32)
        self.upswing: Floats = np.zeros((batch, program.state_size if rises else 0), np.float32)
        self.ring = np.zeros((batch, places, program.spiking), np.int32)
        self.counts = np.zeros((batch, places, len(program.layers)), np.int64)
        self.fired: Floats = np.zeros((batch, program.spiking), np.float32)
        self._sums = np.zeros((SUMS, widest), np.float32)
        self._active = np.zeros((LISTS, widest), np.int32)
        self._loads = np.zeros((LISTS, widest), np.float32)
        self._above = np.zeros((widest + 15) // 8 * 8, np.uint8)
        self.table: Table = np.zeros(ENTRIES, np.int64)
        self.table[BATCH:AT_LAYERS] = (
            batch,
            len(program.layers),
            padded,
            program.state_size,
            self.upswing.shape[1],
            program.spiking,
            widest,
            len(self._above),
            labels,
            len(program.weights),
            len(coefficients),
            places,
            lag,
            substeps,
            0,
        )
        arrays: tuple[NDArray[Any], ...] = (
            program.layers,
            program.weights,
            coefficients,
            self.x,
            self.values,
            self.upswing,
            self.ring,
            self.counts,
            self.fired,
            self._sums,
            self._active,
            self._loads,
            self._above,
            self.y,
        )
        assert all(array.flags.c_contiguous for array in arrays)  # noqa: S101
        self.table[AT_LAYERS:] = [array.ctypes.data for array in arrays]

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "the memory of a state holds addresses and cannot be copied; use the engine's "
            "save_state and load_state"
        )

    @property
    def position(self) -> int:
        """The place of the ring that the next inner step writes."""
        return int(self.table[POSITION])


def _lower_pointer(typing: Any, address: Any) -> Any:  # pragma: no cover - compiled
    """Turn an address into a pointer."""
    del typing

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), lower


_pointer: Any = intrinsic(_lower_pointer)


@njit(cache=True, nogil=True, error_model="numpy")
def step_at(
    table: Table, begin: int, end: int, newer: float
) -> None:  # pragma: no cover - compiled
    """Make the inner steps `begin` to `end` of a bin with the arrays of a `Memory`."""
    t = table
    streams, widest, places = t[BATCH], t[WIDEST], t[PLACES]
    step_bin(
        carray(_pointer(t[AT_LAYERS]), (t[LAYERS], FIELDS), np.int64),
        carray(_pointer(t[AT_WEIGHTS]), (t[WEIGHTS],), np.float32),
        carray(_pointer(t[AT_COEFFICIENTS]), (t[COEFFICIENTS],), np.float32),
        carray(_pointer(t[AT_X]), (streams, t[PADDED]), np.float32),
        carray(_pointer(t[AT_X]), (streams, t[PADDED] // 2), np.uint64),
        t[POSITION],
        t[LAG],
        newer,
        begin,
        end,
        t[SUBSTEPS],
        carray(_pointer(t[AT_VALUES]), (streams, t[STATES]), np.float32),
        carray(_pointer(t[AT_UPSWING]), (streams, t[RISES]), np.float32),
        carray(_pointer(t[AT_RING]), (streams, places, t[SPIKING]), np.int32),
        carray(_pointer(t[AT_COUNTS]), (streams, places, t[LAYERS]), np.int64),
        carray(_pointer(t[AT_FIRED]), (streams, t[SPIKING]), np.float32),
        carray(_pointer(t[AT_SUMS]), (SUMS, widest), np.float32),
        carray(_pointer(t[AT_ACTIVE]), (LISTS, widest), np.int32),
        carray(_pointer(t[AT_LOADS]), (LISTS, widest), np.float32),
        carray(_pointer(t[AT_ABOVE]), (t[ABOVE],), np.uint8),
        carray(_pointer(t[AT_ABOVE]), (t[ABOVE] // 8,), np.uint64),
        carray(_pointer(t[AT_Y]), (streams, t[LABELS]), np.float32),
    )
    t[POSITION] = (t[POSITION] + end - begin) % places
