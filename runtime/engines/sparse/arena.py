"""The kernel's arrays behind one table of addresses.

A call into compiled code unpacks each array that it is given: 3 us a step for the two dozen arrays
of a step, as much as a small network takes. Here the call takes the address of one table of whole
numbers, and each array is made from it where it is used. Named `a` in the kernels.

Shapes: `x` `(batch, inputs padded)`, `x_words` the same memory; `y` `(batch, labels)`; `values`
`(batch, state size)`, a layer's variables one after the other; `ring` `(batch, places, spiking)`:
the neurons that fired, `counts` `(batch, places, layers)` of them, and `loads`, how often each is
heard, while `LOADED`; `fired` `(batch, spiking)`; `rest` `(batch, RESTS)`; `bounds` `(BOUNDS,
spiking)` and `powers` `(LEVELS, MOTION, spiking)`, see `silence`. `sums`, `active`, `carried` and
`above` are scratch; `sums` is 0 at `MAP`.
"""

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.products import Index, Words, inline
from retempo.runtime.engines.sparse.program import FIELDS, Floats, Table
from retempo.runtime.pointers import pointer

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]

# What the table holds: sizes and where the streams stand, then the addresses.
(
    RESULT,
    EXCEPTION,
    BATCH,
    LAYERS,
    INPUTS_OF_BIN,
    PADDED,
    STATES,
    SPIKING_OF_ALL,
    WIDEST,
    ABOVE,
    LABELS,
    WEIGHTS,
    COEFFICIENTS,
    PLACES,
    LAG,
    SUBSTEPS,
    NEWER,  # a float64: what the younger of two lagged steps weighs, 0 where the lag is whole
    POSITION,  # the place of the ring that the next inner step writes
    LOADED,  # how many more inner steps may hear a spike that counts more than once
    LOADS,
    RESTFUL,  # whether silence has a closed form at all
    PLANNED,  # how many neurons the plan of silence describes, 0 before there is one
    AT_LAYERS,
    AT_WEIGHTS,
    AT_COEFFICIENTS,
    AT_X,
    AT_Y,
    AT_VALUES,
    AT_RING,
    AT_LOADS,
    AT_COUNTS,
    AT_FIRED,
    AT_REST,
    AT_BOUNDS,
    AT_POWERS,
    AT_SUMS,
    AT_ACTIVE,
    AT_CARRIED,
    AT_ABOVE,
    ENTRIES,
) = range(40)

# Rows of the scratch `sums`.
HEARD, YOUNGER, MAP, FROM_BIN, FROM_LAYER, RISEN, SUMS = range(7)
# Rows of the scratch `active` and `carried`.
OF_BIN, POOLED, LISTS = range(3)
# Columns of `rest`: bins since the last input or spike; inner steps slept, AWAKE if not asleep;
# whether the readout has come to rest too.
SILENT, SLEPT, STILL, RESTS = range(4)
AWAKE = -1
# Rows of the plan of silence, see `silence`.
KIND, FIXED, FIRST, SECOND, LIMIT, BOUNDS = range(6)
A00, A01, A10, A11, C0, C1, MOTION = range(7)
LEVELS = 21


@inline
def table_of(a: int) -> Table:  # pragma: no cover - compiled
    """Return the table at an address."""
    table: Table = carray(pointer(a), (ENTRIES,), np.int64)
    return table


@inline
def newer_of(a: int) -> np.float32:  # pragma: no cover - compiled
    """Return what the younger of the two lagged steps weighs."""
    return np.float32(carray(pointer(a), (ENTRIES,), np.float64)[NEWER])


@inline
def layers_of(a: int) -> Table:  # pragma: no cover - compiled
    """Return the table of layers."""
    t = table_of(a)
    array: Table = carray(pointer(t[AT_LAYERS]), (t[LAYERS], FIELDS), np.int64)
    return array


@inline
def weights_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return the weights."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_WEIGHTS]), (t[WEIGHTS],), np.float32)
    return array


@inline
def coefficients_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return the coefficients."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_COEFFICIENTS]), (t[COEFFICIENTS],), np.float32)
    return array


@inline
def x_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return the dense input."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_X]), (t[BATCH], t[PADDED]), np.float32)
    return array


@inline
def x_words_of(a: int) -> Words:  # pragma: no cover - compiled
    """Return the dense input, two at a time."""
    t = table_of(a)
    array: Words = carray(pointer(t[AT_X]), (t[BATCH], t[PADDED] // 2), np.uint64)
    return array


@inline
def y_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return the mean scores of the bin."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_Y]), (t[BATCH], t[LABELS]), np.float32)
    return array


@inline
def values_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return the state."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_VALUES]), (t[BATCH], t[STATES]), np.float32)
    return array


@inline
def ring_of(a: int) -> Index:  # pragma: no cover - compiled
    """Return the neurons that fired."""
    t = table_of(a)
    array: Index = carray(pointer(t[AT_RING]), (t[BATCH], t[PLACES], t[SPIKING_OF_ALL]), np.int32)
    return array


@inline
def loads_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return how often each of them is heard."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_LOADS]), (t[BATCH], t[PLACES], t[LOADS]), np.float32)
    return array


@inline
def counts_of(a: int) -> Table:  # pragma: no cover - compiled
    """Return how many of them are listed."""
    t = table_of(a)
    array: Table = carray(pointer(t[AT_COUNTS]), (t[BATCH], t[PLACES], t[LAYERS]), np.int64)
    return array


@inline
def fired_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return how often each neuron fired."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_FIRED]), (t[BATCH], t[SPIKING_OF_ALL]), np.float32)
    return array


@inline
def rest_of(a: int) -> Table:  # pragma: no cover - compiled
    """Return how long each stream has been silent."""
    t = table_of(a)
    array: Table = carray(pointer(t[AT_REST]), (t[BATCH], RESTS), np.int64)
    return array


@inline
def bounds_of(a: int) -> Doubles:  # pragma: no cover - compiled
    """Return the bounds of silence."""
    t = table_of(a)
    array: Doubles = carray(pointer(t[AT_BOUNDS]), (BOUNDS, t[PLANNED]), np.float64)
    return array


@inline
def powers_of(a: int) -> Doubles:  # pragma: no cover - compiled
    """Return the motion in silence."""
    t = table_of(a)
    array: Doubles = carray(pointer(t[AT_POWERS]), (LEVELS, MOTION, t[PLANNED]), np.float64)
    return array


@inline
def sums_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return scratch for sums."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_SUMS]), (SUMS, t[WIDEST]), np.float32)
    return array


@inline
def active_of(a: int) -> Index:  # pragma: no cover - compiled
    """Return scratch for lists of inputs."""
    t = table_of(a)
    array: Index = carray(pointer(t[AT_ACTIVE]), (LISTS, t[WIDEST]), np.int32)
    return array


@inline
def carried_of(a: int) -> Floats:  # pragma: no cover - compiled
    """Return scratch for what they carry."""
    t = table_of(a)
    array: Floats = carray(pointer(t[AT_CARRIED]), (LISTS, t[WIDEST]), np.float32)
    return array


@inline
def above_of(a: int) -> Bytes:  # pragma: no cover - compiled
    """Return scratch for neurons above threshold."""
    t = table_of(a)
    array: Bytes = carray(pointer(t[AT_ABOVE]), (t[ABOVE],), np.uint8)
    return array


@inline
def above_words_of(a: int) -> Words:  # pragma: no cover - compiled
    """Return the same, eight at a time."""
    t = table_of(a)
    array: Words = carray(pointer(t[AT_ABOVE]), (t[ABOVE] // 8,), np.uint64)
    return array
