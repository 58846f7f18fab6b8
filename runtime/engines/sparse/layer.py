"""One layer's inner step, event by event; its plain twin is `exporters.reference.step`.

A layer sums the weight rows of those inputs and lagged spikes that are not 0; then every neuron's
few variables are updated, and those above threshold are listed.
"""

import math

import numpy as np

from retempo.runtime.bits import ONE, WORD, greater, lowest
from retempo.runtime.engines.sparse.arena import (
    HEARD,
    MAP,
    POOLED,
    RISEN,
    YOUNGER,
    active_of,
    carried_of,
    coefficients_of,
    sums_of,
    weights_of,
)
from retempo.runtime.engines.sparse.products import (
    Index,
    add_map,
    add_rows,
    add_weighted_rows,
    jit,
    pool,
)
from retempo.runtime.engines.sparse.program import (
    COEFFICIENTS_AT,
    CONVOLVED,
    NEURONS,
    POOL,
    RECURRENT,
    UPSWING,
    V_AT,
    VARIABLES,
    W_AT,
    Floats,
    Table,
)
from retempo.runtime.engines.sparse.upswings import upswing_of


@jit
def hear(
    a: int, row: Table, inputs: Index, carried: Floats, current: Floats
) -> None:  # pragma: no cover - compiled
    """Set `current = W in` for inputs that carry any number."""
    if row[POOL]:
        found = pool(
            row, inputs, carried, sums_of(a)[MAP], active_of(a)[POOLED], carried_of(a)[POOLED]
        )
        inputs, carried = active_of(a)[POOLED, :found], carried_of(a)[POOLED, :found]
    W = weights_of(a)[row[W_AT] : row[V_AT]]
    if row[CONVOLVED]:
        add_map(row, W, inputs, carried, sums_of(a)[MAP], current)
        return
    current[:] = np.float32(0.0)
    add_weighted_rows(W, inputs, carried, current)


@jit
def hear_spikes(
    a: int, row: Table, spikes: Index, current: Floats
) -> None:  # pragma: no cover - compiled
    """Set `current = W s` for inputs that are 1."""
    if row[POOL] or row[CONVOLVED]:
        ones = sums_of(a)[HEARD, : len(spikes)]
        ones[:] = np.float32(1.0)
        hear(a, row, spikes, ones, current)
        return
    current[:] = np.float32(0.0)
    add_rows(weights_of(a)[row[W_AT] : row[V_AT]], spikes, current)


@jit
def feed_back(
    a: int,
    row: Table,
    olds: Index,
    old_loads: Floats,
    youngs: Index,
    young_loads: Floats,
    newer: np.float32,
) -> None:  # pragma: no cover - compiled
    """Set `heard = V s` of the lagged spikes, the two nearest steps weighted."""
    n = row[NEURONS]
    V = weights_of(a)[row[V_AT] : row[V_AT] + n * n]
    heard = sums_of(a)[HEARD, :n]
    heard[:] = np.float32(0.0)
    _add(V, olds, old_loads, heard)
    if newer > np.float32(0.0):
        added = sums_of(a)[YOUNGER, :n]
        added[:] = np.float32(0.0)
        _add(V, youngs, young_loads, added)
        for m in range(n):
            heard[m] = (np.float32(1.0) - newer) * heard[m] + newer * added[m]


@jit
def _add(
    V: Floats, spikes: Index, loads: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    if len(loads):
        add_weighted_rows(V, spikes, loads, out)
    else:
        add_rows(V, spikes, out)


@jit
def update(a: int, row: Table, current: Floats, state: Floats) -> None:  # pragma: no cover
    """Set `v = A v + F i + G (V s) + N phi(v_0)`; for the coefficients' rows see `program`."""
    n, variables = row[NEURONS], row[VARIABLES]
    c = coefficients_of(a)[row[COEFFICIENTS_AT] :]
    recurrent, heard, risen = row[RECURRENT], sums_of(a)[HEARD], sums_of(a)[RISEN]
    square = variables * variables
    threshold_at = (square + 4 * variables) * n
    if row[UPSWING]:
        for m in range(n):
            x = np.float32(0.0) if state[m] < np.float32(0.0) else state[m]
            x = c[threshold_at + m] if x > c[threshold_at + m] else x
            # Every upswing is 0 at rest, and below it none acts.
            risen[m] = upswing_of(row[UPSWING] - 1, x) if x != np.float32(0.0) else x
    if variables == 1:
        for m in range(n):
            state[m] = c[m] * state[m] + c[n + m] * current[m] + c[2 * n + m]
    elif variables == 2:
        for m in range(n):
            u, w, i = state[m], state[n + m], current[m]
            state[m] = c[m] * u + c[n + m] * w + c[4 * n + m] * i + c[6 * n + m]
            state[n + m] = c[2 * n + m] * u + c[3 * n + m] * w + c[5 * n + m] * i + c[7 * n + m]
    else:
        _update_any(c, n, variables, current, sums_of(a)[YOUNGER], state)
    if recurrent:
        for i in range(variables):
            at = (square + 2 * variables + i) * n
            gain, part = c[at : at + n], state[i * n : (i + 1) * n]
            for m in range(n):
                part[m] += gain[m] * heard[m]
    if row[UPSWING]:
        for i in range(variables):
            at = threshold_at + (1 + i) * n
            gain, part = c[at : at + n], state[i * n : (i + 1) * n]
            for m in range(n):
                part[m] += gain[m] * risen[m]


@jit
def _update_any(
    c: Floats, n: int, variables: int, current: Floats, after: Floats, state: Floats
) -> None:  # pragma: no cover - compiled
    """Do what `update` does first for any number of variables; `after` is scratch."""
    square = variables * variables
    for m in range(n):
        for i in range(variables):
            total = c[(square + i) * n + m] * current[m] + c[(square + variables + i) * n + m]
            for j in range(variables):
                total += c[(i * variables + j) * n + m] * state[j * n + m]
            after[i] = total
        for i in range(variables):
            state[i * n + m] = after[i]


@jit
def reset(
    a: int, row: Table, spikes: Index, loads: Floats, weight: np.float32, state: Floats
) -> None:  # pragma: no cover - compiled
    """Add `R s` of the lagged spikes."""
    n, variables = row[NEURONS], row[VARIABLES]
    at = row[COEFFICIENTS_AT] + (variables * variables + 3 * variables) * n
    for i in range(variables):
        for k in range(len(spikes)):
            j = spikes[k]
            times = weight * loads[k] if len(loads) else weight
            state[i * n + j] += times * coefficients_of(a)[at + i * n + j]


@jit
def fire(a: int, row: Table, state: Floats, spikes: Index) -> int:  # pragma: no cover - compiled
    """List the neurons above threshold; returns how many."""
    n, variables = row[NEURONS], row[VARIABLES]
    at = row[COEFFICIENTS_AT] + (variables * variables + 4 * variables) * n
    threshold = coefficients_of(a)[at : at + n]
    listed, whole = 0, n // WORD * WORD
    for begin in range(0, whole, WORD):
        word = greater(state, begin, threshold, begin)
        while word:
            spikes[listed] = begin + np.int64(lowest(word))
            listed += 1
            word &= word - ONE
    for m in range(whole, n):
        if state[m] > threshold[m]:
            spikes[listed] = m
            listed += 1
    return listed


@jit
def add_softmax(scores: Floats, weight: np.float32, y: Floats) -> None:  # pragma: no cover
    """Add the weighted softmax of the readout."""
    highest = scores[0]
    for m in range(1, len(scores)):
        highest = scores[m] if scores[m] > highest else highest
    total = np.float32(0.0)
    for m in range(len(scores)):
        total += np.float32(math.exp(scores[m] - highest))
    for m in range(len(scores)):
        y[m] += weight * np.float32(math.exp(scores[m] - highest)) / total
