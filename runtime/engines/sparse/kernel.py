"""The steps of one stream over the arrays of an `Arena`: bins with work in them, and silent ones.

A bin is silent if it brings no input and the stream has not fired for as long as its ring reaches
back. After `NAP` silent bins, where the hidden layers are bound to stay below their thresholds,
they sleep: their values stand still in memory until the next input, and are then brought up to date
in closed form. The readout is stepped all the while. Whether and when a stream sleeps follows from
its own bins alone, so that bins give the same numbers however they are handed over.
"""

import numpy as np

from retempo.runtime.engines.sparse.arena import (
    AWAKE,
    FROM_BIN,
    FROM_LAYER,
    LAG,
    LOADED,
    NEWER,
    PLACES,
    PLANNED,
    POSITION,
    RESTFUL,
    SILENT,
    SLEPT,
    STILL,
    SUBSTEPS,
    counts_of,
    doubles_of,
    fired_of,
    layers_of,
    loads_of,
    rest_of,
    ring_of,
    sums_of,
    table_of,
    values_of,
    y_of,
)
from retempo.runtime.engines.sparse.layer import (
    add_softmax,
    feed_back,
    fire,
    hear,
    hear_spikes,
    reset,
    update,
)
from retempo.runtime.engines.sparse.products import Index, copy, jit
from retempo.runtime.engines.sparse.program import (
    NEURONS,
    RECURRENT,
    SPIKES_AT,
    SPIKING,
    STATE_AT,
    VARIABLES,
    Floats,
)
from retempo.runtime.engines.sparse.silence import LONGEST, settles, wake

# Silent bins before a stream is tried for sleep, and between two trials: a trial costs a step or
# two.
NAP = 128


@jit
def needs_plan(a: int, b: int) -> bool:  # pragma: no cover - compiled
    """Return whether a stream's next silent bin needs the plan of silence, which is not made."""
    wants: bool = table_of(a)[RESTFUL] and not table_of(a)[PLANNED] and rest_of(a)[b, SILENT] >= NAP
    return wants


@jit
def step_stream(a: int, b: int, inputs: Index, carried: Floats) -> None:  # pragma: no cover
    """Step stream `b` by a bin with these inputs into `y[b]`, or let it sleep on.

    The caller moves `POSITION` and `LOADED` on when all streams are stepped.
    """
    rest = rest_of(a)[b]
    if len(inputs) == 0:
        if rest[SLEPT] == AWAKE and _may_sleep(a, b):
            rest[SLEPT], rest[STILL] = 0, 0
        if rest[SLEPT] != AWAKE and rest[SLEPT] + table_of(a)[SUBSTEPS] <= LONGEST:
            rest[SLEPT] += table_of(a)[SUBSTEPS]
            _read_silence(a, b)
            return
    if rest[SLEPT] != AWAKE:
        wake(a, b)
    fired = _step_bin(a, b, inputs, carried)
    if len(inputs) or fired:
        rest[SILENT] = 0
    else:
        rest[SILENT] += 1


@jit
def _may_sleep(a: int, b: int) -> bool:  # pragma: no cover - compiled
    silent = rest_of(a)[b, SILENT]
    if not table_of(a)[PLANNED] or silent == 0 or silent % NAP:
        return False
    # Until then a spike is pending.
    return silent * table_of(a)[SUBSTEPS] >= table_of(a)[PLACES] and settles(a, b)


@jit
def _step_bin(a: int, b: int, inputs: Index, carried: Floats) -> int:  # pragma: no cover
    """Step one bin awake; returns how many spikes there were."""
    substeps, lag, places = table_of(a)[SUBSTEPS], table_of(a)[LAG], table_of(a)[PLACES]
    newer = np.float32(doubles_of(a)[NEWER])
    y_of(a)[b] = np.float32(0.0)
    spikes = 0
    for inner in range(substeps):
        place = (table_of(a)[POSITION] + inner) % places
        old = (place - lag) % places
        young = (old + 1) % places
        loaded = table_of(a)[LOADED] > inner
        for k in range(layers_of(a).shape[0]):
            row = layers_of(a)[k]
            n, at = row[NEURONS], row[SPIKES_AT]
            current = sums_of(a)[FROM_LAYER if k else FROM_BIN, :n]
            if k:
                first = layers_of(a)[k - 1][SPIKES_AT]
                listed = counts_of(a)[b, place, k - 1]
                hear_spikes(a, row, ring_of(a)[b, place, first : first + listed], current)
            elif inner == 0:
                # What a bin brings is the same in each of its inner steps.
                hear(a, row, inputs, carried, current)
            begins = row[STATE_AT]
            state = values_of(a)[b, begins : begins + row[VARIABLES] * n]
            if not row[SPIKING]:
                update(a, row, current, state)
                continue
            olds_end = at + counts_of(a)[b, old, k]
            youngs_end = at + (counts_of(a)[b, young, k] if newer > np.float32(0.0) else 0)
            olds, youngs = ring_of(a)[b, old, at:olds_end], ring_of(a)[b, young, at:youngs_end]
            # Views of no length where every spike counts once.
            loads_at = at if loaded else 0
            old_loads = loads_of(a)[b, old, loads_at : olds_end if loaded else 0]
            young_loads = loads_of(a)[b, young, loads_at : youngs_end if loaded else 0]
            if row[RECURRENT]:
                feed_back(a, row, olds, old_loads, youngs, young_loads, newer)
            update(a, row, current, state)
            reset(a, row, olds, old_loads, np.float32(1.0) - newer, state)
            reset(a, row, youngs, young_loads, newer, state)
            listed = fire(a, row, state, ring_of(a)[b, place, at:])
            counts_of(a)[b, place, k] = listed
            if loaded:
                loads_of(a)[b, place, at : at + listed] = np.float32(1.0)
            for j in range(listed):
                fired_of(a)[b, at + ring_of(a)[b, place, at + j]] += np.float32(1.0)
            spikes += listed
        _read(a, b)
    return spikes


@jit
def _read(a: int, b: int) -> None:  # pragma: no cover - compiled
    """Add the scores of an inner step to the bin's mean."""
    row = layers_of(a)[-1]
    scores = values_of(a)[b, row[STATE_AT] : row[STATE_AT] + row[NEURONS]]
    add_softmax(scores, np.float32(1.0 / table_of(a)[SUBSTEPS]), y_of(a)[b])


@jit
def _read_silence(a: int, b: int) -> None:  # pragma: no cover - compiled
    """Step the readout through a bin in which nothing fires."""
    if rest_of(a)[b, STILL]:
        return  # `y` is what it was
    row = layers_of(a)[-1]
    state = values_of(a)[b, row[STATE_AT] : row[STATE_AT] + row[VARIABLES] * row[NEURONS]]
    current, before = sums_of(a)[FROM_BIN, : row[NEURONS]], sums_of(a)[FROM_LAYER, : len(state)]
    current[:] = np.float32(0.0)
    copy(state, before)
    y_of(a)[b] = np.float32(0.0)
    for _ in range(table_of(a)[SUBSTEPS]):
        update(a, row, current, state)
        _read(a, b)
    still = True
    for m in range(len(state)):
        still &= state[m] == before[m]
    rest_of(a)[b, STILL] = still
