"""Several streams stepped as one batch of the engine `onnx`.

A matrix that is read once for many streams costs each of them less. The streams keep their own
states: they are gathered into the rows of a batch, stepped, and scattered back. The streams stand
in the batch in the order of their lengths, so that those that end drop out at its end.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from retempo.runtime.engine import EngineState, Vector
from retempo.runtime.engines.spike_ring import SpikeRing
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins

if TYPE_CHECKING:
    from retempo.runtime.engines.onnx import OnnxEngine, OnnxState

# A batch of each of these sizes is kept, at most a third of it idle. Larger ones gain no more.
_SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
# A longer history is gathered in parts: only the rows that the next inner steps hear.
_MOST_ROWS = 16


def run_together(
    engine: "OnnxEngine", jobs: Sequence[tuple[EngineState, SparseBins]]
) -> list[Vector]:
    """Do `Engine.run_many`.

    Raises:
        EngineError: a state holds several streams, or stands in two jobs.
    """
    if len({id(state) for state, _ in jobs}) != len(jobs):
        raise EngineError("a state stands in two jobs; give each stream its own state")
    if any(state.batch != 1 for state, _ in jobs):
        raise EngineError("run_many steps states of one stream each")
    groups: dict[int, list[int]] = {}
    for index, (state, _) in enumerate(jobs):
        groups.setdefault(id(state.resolution), []).append(index)
    y: list[Vector] = [np.empty(0, np.float32)] * len(jobs)
    for group in groups.values():
        group.sort(key=lambda index: -len(jobs[index][1]))
        for begin in range(0, len(group), _SIZES[-1]):
            chosen = group[begin : begin + _SIZES[-1]]
            found = _run_group(engine, [jobs[index] for index in chosen])
            for index, rows in zip(chosen, found, strict=True):
                y[index] = rows
    return y


def _run_group(
    engine: "OnnxEngine", jobs: Sequence[tuple[EngineState, SparseBins]]
) -> list[Vector]:
    """Step streams of one resolution, the longest first."""
    states: list[OnnxState] = [state for state, _ in jobs]  # type: ignore[misc]
    lengths = np.array([len(bins) for _, bins in jobs])
    merged = merge([bins for _, bins in jobs], states[0].x.shape[1])
    y = np.empty((len(jobs), lengths[0], states[0].y.shape[1]), np.float32)
    for state in states:
        state.x[:] = 0.0
        state.fired_in_all[:] = 0.0
        state.of_many_steps = True
    resolution = states[0].resolution
    most = lengths[0] if ceil(resolution.lag) <= _MOST_ROWS else _MOST_ROWS // resolution.substeps
    first = 0
    while first < lengths[0]:
        active = int(np.count_nonzero(lengths > first))
        last = int(min(lengths[active - 1], first + max(most, 1)))
        if active == 1:
            engine.walk(states[0], merged, first, y[0, first:last, np.newaxis])
        else:
            stepped = _step_group(engine, states[:active], merged, first, last)
            y[:active, first:last] = stepped.swapaxes(0, 1)[:active]
        first = last
    return [rows[:length] for rows, length in zip(y, lengths, strict=True)]


def _step_group(
    engine: "OnnxEngine", states: "Sequence[OnnxState]", merged: SparseBins, first: int, last: int
) -> Vector:
    """Step states through the same number of bins; returns `y`, `(bins, batch, labels)`."""
    batch = engine.batch_state(next(size for size in _SIZES if size >= len(states)))
    resolution = states[0].resolution
    if batch.resolution is not resolution:
        np.copyto(batch.coefficients, engine.coefficients(resolution))
        batch.resolution = resolution
    steps = (last - first) * resolution.substeps
    rows = ceil(resolution.lag)
    if steps <= floor(resolution.lag):
        rows = steps + (rows - floor(resolution.lag))
    batch.ring = SpikeRing(
        np.empty((rows, engine.spiking.width * batch.batch), np.float32), resolution.lag
    )
    variables = np.stack([state.variables[state.turn] for state in states])
    engine.variables.gather(variables, batch.variables[batch.turn], batch.batch)
    heard = np.stack([state.ring.oldest_first(rows) for state in states])
    engine.spiking.gather(heard, batch.ring.rows, batch.batch)
    batch.fired_in_all[:] = 0.0

    y = np.empty((last - first, batch.batch, batch.y.shape[1]), np.float32)
    engine.walk(batch, merged, first, y)

    fired = np.empty_like(heard)
    engine.spiking.scatter(batch.ring.oldest_first(rows), fired, batch.batch)
    fired = fired[:, -min(steps, rows) :]
    engine.variables.scatter(batch.variables[batch.turn], variables, batch.batch)
    counts = np.empty((len(states), engine.spiking.width), np.float32)
    engine.spiking.scatter(batch.fired_in_all, counts, batch.batch)
    for index, state in enumerate(states):
        state.variables[state.turn][:] = variables[index]
        state.ring.extend(fired[index])
        state.fired_in_all += counts[index]
    return y


def merge(streams: Sequence[SparseBins], inputs: int) -> SparseBins:
    """Return the bins of several streams as those of one whose inputs lie one behind the other.

    Input `i` of stream `k` becomes `k * inputs + i`.
    """
    lengths = np.array([len(stream) for stream in streams])
    bins = np.concatenate(
        [np.repeat(np.arange(len(stream)), np.diff(stream.starts)) for stream in streams]
    )
    moved = [
        stream.inputs[stream.starts[0] : stream.starts[-1]] + k * inputs
        for k, stream in enumerate(streams)
    ]
    values = [stream.values[stream.starts[0] : stream.starts[-1]] for stream in streams]
    order = np.argsort(bins, kind="stable")
    starts = np.zeros(lengths.max(initial=0) + 1, np.int64)
    np.cumsum(np.bincount(bins, minlength=len(starts) - 1), out=starts[1:])
    return SparseBins(starts, np.concatenate(moved)[order], np.concatenate(values)[order])
