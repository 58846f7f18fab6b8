"""The step of one bin over the flat arrays of `program`, event by event.

A layer sums the weight rows of those inputs and lagged spikes that are not 0; then every neuron's
few variables are updated, and those above threshold are listed. Its plain twin is
`exporters.reference.step`.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.products import (
    Index,
    Words,
    add_map,
    add_rows,
    add_weighted_rows,
    find_active,
    pool,
)
from retempo.runtime.engines.sparse.program import (
    COEFFICIENTS_AT,
    CONVOLVED,
    INPUTS,
    NEURONS,
    NONLINEAR,
    POOL,
    RECURRENT,
    SPIKES_AT,
    SPIKING,
    STATE_AT,
    V_AT,
    VARIABLES,
    W_AT,
    Floats,
    Table,
)

Bytes = NDArray[np.uint8]

# Rows of the scratch `sums`.
HEARD, YOUNGER, MAP, FROM_BIN, FROM_LAYER, SUMS = range(6)
# Rows of the scratch `active` and `loads`.
OF_BIN, POOLED, LISTS = range(3)

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def step_bin(
    layers: Table,
    weights: Floats,
    coefficients: Floats,
    x: Floats,
    x_words: Words,
    position: int,
    lag: int,
    newer: float,
    begin: int,
    end: int,
    substeps: int,
    values: Floats,
    upswing: Floats,
    ring: Index,
    counts: NDArray[np.int64],
    fired: Floats,
    sums: Floats,
    active: Index,
    loads: Floats,
    above: Bytes,
    above_words: Words,
    y: Floats,
) -> None:  # pragma: no cover - compiled
    """Make the inner steps `begin` to `end` of a bin of `substeps`, for every stream.

    Args:
        layers: see `program.Program`.
        weights: see `program.Program`.
        coefficients: see `program.coefficients_of`.
        x: the bin, `(batch, inputs)`.
        x_words: the same memory, padded, `(batch, words)`.
        position: the place of the ring that the first of these inner steps writes.
        lag: how many inner steps old the older of the heard spikes are.
        newer: the weight of the spikes one step younger, 0 where the lag is whole.
        begin: the first inner step.
        end: behind the last.
        substeps: how many the bin has; `y` is their mean.
        values: the state, `(batch, state size)`, a layer's variables one after the other.
        upswing: what a nonlinear neuron's upswing adds, laid out as `values`; `(batch, 0)` if none.
        ring: the neurons that fired, `(batch, places, spiking)`.
        counts: how many of them are listed, `(batch, places, layers)`.
        fired: how often each neuron fired in this bin, `(batch, spiking)`.
        sums: scratch, `(SUMS, widest)`, zeros at `MAP`.
        active: scratch, `(LISTS, widest)`.
        loads: scratch, `(LISTS, widest)`.
        above: scratch, `(widest, padded to words)`.
        above_words: the same memory.
        y: the mean scores, `(batch, labels)`.
    """
    places = ring.shape[1]
    readout = layers[-1]
    for b in range(x.shape[0]):
        if begin == 0:
            y[b] = np.float32(0.0)
            fired[b] = np.float32(0.0)
        entries = find_active(x[b], x_words[b], active[OF_BIN], loads[OF_BIN])
        for inner in range(begin, end):
            place = (position + inner - begin) % places
            old = (place - lag) % places
            young = (old + 1) % places
            for k in range(layers.shape[0]):
                row = layers[k]
                at = row[SPIKES_AT]
                current = sums[FROM_LAYER if k else FROM_BIN, : row[NEURONS]]
                if k:
                    first, listed = layers[k - 1][SPIKES_AT], counts[b, place, k - 1]
                    spikes = ring[b, place, first : first + listed]
                    _hear_spikes(row, weights, spikes, sums, active, loads, current)
                elif inner == begin:
                    # What a bin brings is the same in each of its inner steps.
                    brought = active[OF_BIN, :entries]
                    _hear(row, weights, brought, loads[OF_BIN], sums, active, loads, current)
                olds = ring[b, old, at : at + counts[b, old, k]]
                youngs = ring[b, young, at : at + (counts[b, young, k] if newer > 0.0 else 0)]
                if row[RECURRENT]:
                    _feed_back(row, weights, olds, youngs, np.float32(newer), sums)
                begins = row[STATE_AT]
                state = values[b, begins : begins + row[VARIABLES] * row[NEURONS]]
                _update(row, coefficients, current, sums[HEARD], state)
                if row[NONLINEAR]:
                    state += upswing[b, begins : begins + len(state)]
                if row[SPIKING]:
                    _reset(row, coefficients, olds, np.float32(1.0 - newer), state)
                    _reset(row, coefficients, youngs, np.float32(newer), state)
                    listed = _fire(
                        row, coefficients, state, above, above_words, ring[b, place, at:]
                    )
                    counts[b, place, k] = listed
                    for j in range(listed):
                        fired[b, at + ring[b, place, at + j]] += np.float32(1.0)
            begins = readout[STATE_AT]
            scores = values[b, begins : begins + readout[NEURONS]]
            _add_softmax(scores, np.float32(1.0 / substeps), y[b])


@_jit
def _hear(
    row: Table,
    weights: Floats,
    inputs: Index,
    carried: Floats,
    sums: Floats,
    active: Index,
    loads: Floats,
    current: Floats,
) -> None:  # pragma: no cover - compiled
    """Set `current = W in` for inputs that carry any number."""
    if row[POOL]:
        found = pool(row, inputs, carried, sums[MAP], active[POOLED], loads[POOLED])
        inputs, carried = active[POOLED, :found], loads[POOLED]
    begins = row[W_AT]
    W = weights[begins : row[V_AT]]
    if row[CONVOLVED]:
        add_map(row, W, inputs, carried, sums[MAP], current)
        return
    current[:] = np.float32(0.0)
    matrix = W.reshape(row[INPUTS], row[NEURONS])
    add_weighted_rows(matrix, inputs, carried, current)


@_jit
def _hear_spikes(
    row: Table,
    weights: Floats,
    spikes: Index,
    sums: Floats,
    active: Index,
    loads: Floats,
    current: Floats,
) -> None:  # pragma: no cover - compiled
    """Set `current = W s` for inputs that are 1."""
    if row[POOL] or row[CONVOLVED]:
        ones = sums[HEARD, : len(spikes)]
        ones[:] = np.float32(1.0)
        _hear(row, weights, spikes, ones, sums, active, loads, current)
        return
    current[:] = np.float32(0.0)
    matrix = weights[row[W_AT] : row[V_AT]].reshape(row[INPUTS], row[NEURONS])
    add_rows(matrix, spikes, current)


@_jit
def _feed_back(
    row: Table, weights: Floats, olds: Index, youngs: Index, newer: np.float32, sums: Floats
) -> None:  # pragma: no cover - compiled
    """Set `heard = V s` of the lagged spikes, the two nearest steps weighted."""
    n = row[NEURONS]
    V = weights[row[V_AT] : row[V_AT] + n * n].reshape(n, n)
    heard = sums[HEARD, :n]
    heard[:] = np.float32(0.0)
    add_rows(V, olds, heard)
    if newer > np.float32(0.0):
        added = sums[YOUNGER, :n]
        added[:] = np.float32(0.0)
        add_rows(V, youngs, added)
        for m in range(n):
            heard[m] = (np.float32(1.0) - newer) * heard[m] + newer * added[m]


@_jit
def _update(
    row: Table, coefficients: Floats, current: Floats, heard: Floats, state: Floats
) -> None:  # pragma: no cover - compiled
    """Set `v = A v + F i + G (V s)`; the rows of the coefficients are those of `program`."""
    n, variables = row[NEURONS], row[VARIABLES]
    c = coefficients[row[COEFFICIENTS_AT] :]
    recurrent = row[RECURRENT]
    if variables == 1:
        gain, bias, feedback = c[n : 2 * n], c[2 * n : 3 * n], c[3 * n : 4 * n]
        for m in range(n):
            state[m] = c[m] * state[m] + gain[m] * current[m] + bias[m]
        if recurrent:
            for m in range(n):
                state[m] += feedback[m] * heard[m]
        return
    if variables == 2:
        _update_pairs(c, n, recurrent, current, heard, state[:n], state[n:])
        return
    before = state.copy()
    square = variables * variables
    for i in range(variables):
        for m in range(n):
            total = c[(square + i) * n + m] * current[m] + c[(square + variables + i) * n + m]
            for j in range(variables):
                total += c[(i * variables + j) * n + m] * before[j * n + m]
            if recurrent:
                total += c[(square + 2 * variables + i) * n + m] * heard[m]
            state[i * n + m] = total


@_jit
def _update_pairs(
    c: Floats,
    n: int,
    recurrent: int,
    current: Floats,
    heard: Floats,
    first: Floats,
    second: Floats,
) -> None:  # pragma: no cover - compiled
    """Do what `_update` does for two variables, in one pass."""
    a00, a01, a10, a11 = c[:n], c[n : 2 * n], c[2 * n : 3 * n], c[3 * n : 4 * n]
    gain0, gain1 = c[4 * n : 5 * n], c[5 * n : 6 * n]
    bias0, bias1 = c[6 * n : 7 * n], c[7 * n : 8 * n]
    for m in range(n):
        u, w, i = first[m], second[m], current[m]
        first[m] = a00[m] * u + a01[m] * w + gain0[m] * i + bias0[m]
        second[m] = a10[m] * u + a11[m] * w + gain1[m] * i + bias1[m]
    if recurrent:
        feedback0, feedback1 = c[8 * n : 9 * n], c[9 * n : 10 * n]
        for m in range(n):
            first[m] += feedback0[m] * heard[m]
            second[m] += feedback1[m] * heard[m]


@_jit
def _reset(
    row: Table, coefficients: Floats, spikes: Index, weight: np.float32, state: Floats
) -> None:  # pragma: no cover - compiled
    """Add `R s` of the lagged spikes."""
    n, variables = row[NEURONS], row[VARIABLES]
    at = row[COEFFICIENTS_AT] + (variables * variables + 3 * variables) * n
    for i in range(variables):
        for k in range(len(spikes)):
            j = spikes[k]
            state[i * n + j] += weight * coefficients[at + i * n + j]


@_jit
def _fire(
    row: Table,
    coefficients: Floats,
    state: Floats,
    above: Bytes,
    above_words: Words,
    spikes: Index,
) -> int:  # pragma: no cover - compiled
    """List the neurons above threshold; returns how many."""
    n, variables = row[NEURONS], row[VARIABLES]
    at = row[COEFFICIENTS_AT] + (variables * variables + 4 * variables) * n
    threshold = coefficients[at : at + n]
    for m in range(n):
        above[m] = state[m] > threshold[m]
    above[n : n + 8] = 0
    listed = 0
    for word in range((n + 7) // 8):
        if above_words[word]:
            for m in range(8 * word, 8 * word + 8):
                if above[m]:
                    spikes[listed] = m
                    listed += 1
    return listed


@_jit
def _add_softmax(
    scores: Floats, weight: np.float32, y: Floats
) -> None:  # pragma: no cover - compiled
    """Add the weighted softmax of the readout."""
    highest = scores.max()
    total = np.float32(0.0)
    for m in range(len(scores)):
        total += np.float32(math.exp(scores[m] - highest))
    for m in range(len(scores)):
        y[m] += weight * np.float32(math.exp(scores[m] - highest)) / total
