"""The kernel's arrays behind one table of addresses.

A call into compiled code unpacks each array that it is given: 3 us a step for the two dozen arrays
of a step, as much as a small network takes. Here the call takes the address of one table of whole
numbers, and each array is made from it where it is used. Named `a` in the kernels.

Shapes: `x` `(batch, inputs padded)`; `y` `(batch, labels)`; `values`
`(batch, state size)`, a layer's variables one after the other; `ring` `(batch, places, spiking)`:
the neurons that fired, `counts` `(batch, places, layers)` of them, and `loads`, how often each is
heard, while `LOADED`; `fired` `(batch, spiking)`; `rest` `(batch, RESTS)`; `bounds` `(BOUNDS,
spiking)` and `powers` `(LEVELS, MOTION, spiking)`, see `silence`. `sums`, `active` and `carried`
are scratch; `sums` is 0 at `MAP`.
"""

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.program import FIELDS
from retempo.runtime.engines.sparse.views import Size, itself, view

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]

# What the table holds: sizes and where the streams stand, then the addresses.
(
    BATCH,
    LAYERS,
    INPUTS_OF_BIN,
    PADDED,
    STATES,
    SPIKING_OF_ALL,
    WIDEST,
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
    NDARRAY,  # the type of an array, and those of its entries, by `id`
    INT64,
    INT32,
    FLOAT32,
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

# Named for what they return.
table_of = itself(np.int64, ENTRIES)
doubles_of = itself(np.float64, ENTRIES)
layers_of = view(np.int64, AT_LAYERS, Size(LAYERS), FIELDS)
weights_of = view(np.float32, AT_WEIGHTS, Size(WEIGHTS))
coefficients_of = view(np.float32, AT_COEFFICIENTS, Size(COEFFICIENTS))
x_of = view(np.float32, AT_X, Size(BATCH), Size(PADDED))
y_of = view(np.float32, AT_Y, Size(BATCH), Size(LABELS))
values_of = view(np.float32, AT_VALUES, Size(BATCH), Size(STATES))
ring_of = view(np.int32, AT_RING, Size(BATCH), Size(PLACES), Size(SPIKING_OF_ALL))
loads_of = view(np.float32, AT_LOADS, Size(BATCH), Size(PLACES), Size(LOADS))
counts_of = view(np.int64, AT_COUNTS, Size(BATCH), Size(PLACES), Size(LAYERS))
fired_of = view(np.float32, AT_FIRED, Size(BATCH), Size(SPIKING_OF_ALL))
rest_of = view(np.int64, AT_REST, Size(BATCH), RESTS)
bounds_of = view(np.float64, AT_BOUNDS, BOUNDS, Size(PLANNED))
powers_of = view(np.float64, AT_POWERS, LEVELS, MOTION, Size(PLANNED))
sums_of = view(np.float32, AT_SUMS, SUMS, Size(WIDEST))
active_of = view(np.int32, AT_ACTIVE, LISTS, Size(WIDEST))
carried_of = view(np.float32, AT_CARRIED, LISTS, Size(WIDEST))
