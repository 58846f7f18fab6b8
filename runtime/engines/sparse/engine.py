"""The engine `sparse`, see `runtime.engine.Engine`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.neurons import neuron_named
from retempo.exporters.neurons.general import Upswing
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, network_of
from retempo.runtime.engine import Arrays, EngineState, Vector
from retempo.runtime.engines.saved import check_saved, saved_batch
from retempo.runtime.engines.sparse.memory import Memory, step_at
from retempo.runtime.engines.sparse.program import (
    NEURONS,
    SPIKES_AT,
    SPIKING,
    STATE_AT,
    VARIABLES,
    coefficients_of,
    program_of,
)
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, with_zeros


@dataclass(frozen=True, slots=True, eq=False)
class _Rise:
    """The upswing of one layer: where its variables lie, `N` and the threshold, float32."""

    layer: slice
    upswing: Upswing
    N: Vector
    threshold: Vector


class SparseState:
    """What `batch` streams carry, see `SparseEngine`."""

    def __init__(self, engine: "SparseEngine", batch: int, resolution: Resolution) -> None:
        network = engine.model.contract.network
        self.batch = batch
        self.resolution = resolution
        self.rises = _rises_of(engine, resolution)
        self.substeps = resolution.substeps
        self.lag = math.ceil(resolution.lag)
        # What the younger of two lagged steps weighs; 0 where the lag is whole.
        self.newer = self.lag - resolution.lag
        self.memory = Memory(
            engine.program,
            coefficients_of(engine.program, resolution),
            batch=batch,
            inputs=network.input.size,
            labels=len(network.labels),
            lag=self.lag,
            substeps=self.substeps,
            rises=bool(self.rises),
        )
        self.table = self.memory.table
        self._x: Vector = self.memory.x[:, : network.input.size]
        self.y: Vector = self.memory.y

    @property
    def x(self) -> Vector:
        """The input of the next step, to be written in place: see `EngineState`."""
        return self._x


class SparseEngine:
    """Steps a model on the CPU, touching only the weights of what is active.

    The same file as for `onnx`; a step allocates nothing and releases the GIL.
    """

    name = "sparse"
    batches = False

    def __init__(self, model: StepModel, resolution: Resolution) -> None:
        self.model = model
        self.program = program_of(network_of(model))
        self.resolution = resolution
        self.why = "asked for by name"

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> SparseState:
        """Return the state of `batch` streams that have seen nothing.

        Raises:
            EngineError: the batch is empty.
        """
        if batch < 1:
            raise EngineError(f"a state holds at least 1 stream, got {batch}")
        return SparseState(self, batch, resolution or self.resolution)

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        assert isinstance(state, SparseState)  # noqa: S101  (a state comes from its own engine)
        if not state.rises:
            step_at(state.table, 0, state.substeps, state.newer)
            return state.y
        for inner in range(state.substeps):
            _rise(state)
            step_at(state.table, inner, inner + 1, state.newer)
        return state.y

    def set_resolution(self, state: EngineState, resolution: Resolution) -> None:
        """Go on at another resolution from the next step, see `Engine.set_resolution`."""
        raise NotImplementedError

    def run(self, state: EngineState, bins: SparseBins) -> Vector:
        """Step one stream through consecutive bins, see `Engine.run`."""
        rows = with_zeros(bins, state.x.shape[1])
        y = np.zeros((len(bins), len(self.model.contract.network.labels)), np.float32)
        for row, out in zip(rows, y, strict=True):
            state.x[0] = row
            out[:] = self.step(state)[0]
        return y

    def run_many(self, jobs: Sequence[tuple[EngineState, SparseBins]]) -> list[Vector]:
        """Step several streams one after the other, see `Engine.run_many`."""
        return [self.run(state, bins) for state, bins in jobs]

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired in the last bin, see `Engine.spikes`."""
        assert isinstance(state, SparseState)  # noqa: S101
        return {
            f"{name}.spikes": state.memory.fired[:, part] for name, part in self._spiking().items()
        }

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`."""
        assert isinstance(state, SparseState)  # noqa: S101
        return np.asarray(np.isfinite(state.memory.values).all(axis=1))

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names, as the engine `onnx` does."""
        assert isinstance(state, SparseState)  # noqa: S101
        saved = {}
        for name, part, shape in self._variables():
            values = state.memory.values[:, part].reshape(state.batch, *shape)
            saved[f"{name}.state"] = values.swapaxes(0, 1).copy()
        for layer, (name, part) in enumerate(self._spiking().items()):
            history = np.zeros((state.lag, state.batch, part.stop - part.start), np.float32)
            for age in range(1, state.lag + 1):
                place = (state.memory.position - age) % (state.lag + 1)
                for b in range(state.batch):
                    listed = state.memory.counts[b, place, layer]
                    history[age - 1, b, state.memory.ring[b, place, part][:listed]] = 1.0
            saved[f"{name}.spikes"] = history
        return saved

    def load_state(self, arrays: Arrays, resolution: Resolution | None = None) -> SparseState:
        """Return a state that goes on exactly where the saved one stood.

        Raises:
            EngineError: a tensor is missing, unknown, or of another shape than this resolution's;
                or spikes are neither 0 nor 1.
        """
        state = self.new_state(saved_batch(self.model, arrays), resolution)
        check_saved(self.model, arrays, state.batch, state.lag)
        for name, part, _ in self._variables():
            state.memory.values[:, part] = (
                arrays[f"{name}.state"].swapaxes(0, 1).reshape(state.batch, -1)
            )
        for layer, (name, part) in enumerate(self._spiking().items()):
            history = arrays[f"{name}.spikes"]
            if not ((history == 0.0) | (history == 1.0)).all():
                raise EngineError(f"saved state {name}.spikes holds spikes that are not 0 or 1")
            for age in range(1, state.lag + 1):
                for b in range(state.batch):
                    listed = np.flatnonzero(history[age - 1, b])
                    place = -age % (state.lag + 1)
                    state.memory.ring[b, place, part.start : part.start + len(listed)] = listed
                    state.memory.counts[b, place, layer] = len(listed)
        return state

    def _variables(self) -> list[tuple[str, slice, tuple[int, int]]]:
        """Return each layer's name, its part of the state and the shape of it."""
        found = []
        for row, layer in zip(self.program.layers, self.model.contract.network.layers, strict=True):
            shape = (int(row[VARIABLES]), int(row[NEURONS]))
            part = slice(int(row[STATE_AT]), int(row[STATE_AT]) + shape[0] * shape[1])
            found.append((layer.name, part, shape))
        return found

    def _spiking(self) -> dict[str, slice]:
        """Return the part of the spikes that each spiking layer has, in their order."""
        found = {}
        for row, layer in zip(self.program.layers, self.model.contract.network.layers, strict=True):
            if row[SPIKING]:
                at = int(row[SPIKES_AT])
                found[layer.name] = slice(at, at + int(row[NEURONS]))
        return found


def _rises_of(engine: SparseEngine, resolution: Resolution) -> list[_Rise]:
    rises = []
    layers = engine.model.contract.network.layers
    for row, spec, layer in zip(engine.program.layers, layers, resolution.layers, strict=True):
        upswing = neuron_named(spec.neuron).upswing
        if upswing is not None and layer.N is not None:
            at = int(row[STATE_AT])
            part = slice(at, at + layer.N.size)
            N, threshold = layer.N.astype(np.float32), layer.threshold.astype(np.float32)
            rises.append(_Rise(part, upswing, N, threshold))
    return rises


def _rise(state: SparseState) -> None:
    """Set what the upswings add in the next inner step."""
    for rise in state.rises:
        values = state.memory.values[:, rise.layer].reshape(state.batch, *rise.N.shape)
        phi = rise.upswing.value(np.clip(values[:, 0], np.float32(0.0), rise.threshold))
        state.memory.upswing[:, rise.layer] = (rise.N * phi[:, np.newaxis]).reshape(state.batch, -1)
