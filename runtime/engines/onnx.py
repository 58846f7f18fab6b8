"""The step by ONNX Runtime, on the CPU, without an allocation a step.

Every tensor of the graph is bound once, in two bindings between which the neurons' variables go to
and fro. The spikes of all layers lie in one vector, so that a step is one call and two short
copies: what it hears out of the ring of past spikes, and what it fires into it. Neither the lag nor
the resolution is in a binding, so both can change under way.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, bound_coefficients
from retempo.runtime.engine import Arrays, EngineState, Vector
from retempo.runtime.engines.flat import layout_of
from retempo.runtime.engines.history import moved_ages
from retempo.runtime.engines.saved import check_saved, checked_state, is_spikes, saved_batch
from retempo.runtime.engines.session import bind, open_session
from retempo.runtime.engines.spike_ring import moved_ring, new_ring
from retempo.runtime.engines.together import run_together
from retempo.runtime.errors import EngineError
from retempo.runtime.saved_state import Saved
from retempo.runtime.sparse_bins import SparseBins

# An overloaded stream goes to and fro between a few resolutions.
_MOST_RESOLUTIONS = 16


class OnnxState:
    """The buffers of `batch` streams and the bindings that step them, see `OnnxEngine`."""

    def __init__(self, engine: "OnnxEngine", batch: int, resolution: Resolution) -> None:
        network = engine.model.contract.network
        self.batch = batch
        self.resolution = resolution
        # Bound without a copy: all but the ring must live as long as the bindings.
        self.x: Vector = np.zeros((batch, network.input.size), np.float32)
        self.y: Vector = np.zeros((batch, len(network.labels)), np.float32)
        self.coefficients = engine.coefficients(resolution).copy()
        self.variables = engine.variables.zeros(batch), engine.variables.zeros(batch)
        self.heard = engine.spiking.zeros(batch)
        self.fired = engine.spiking.zeros(batch)
        # Which of the two vectors of variables the next step reads.
        self.turn = 0
        self.ring = new_ring(resolution.lag, len(self.fired))
        # How often each neuron fired in all inner steps of a bin or a run; `fired` in one step.
        self.fired_in_all = engine.spiking.zeros(batch)
        self.of_many_steps = False
        self.total: Vector = np.zeros_like(self.y)
        self.rows: Vector = np.zeros((0, *self.y.shape), np.float32)
        self.bindings = engine.binding_of(self, 0), engine.binding_of(self, 1)


class OnnxEngine:
    """Steps a model by ONNX Runtime on the CPU, see `runtime.engine.Engine`."""

    name = "onnx"
    batches = True

    def __init__(self, model: StepModel, resolution: Resolution) -> None:
        self.model = model
        self.resolution = resolution
        self.why = "asked for by name"
        states = model.contract.states
        self.variables = layout_of(spec for spec in states if not is_spikes(spec))
        self.spiking = layout_of(spec for spec in states if is_spikes(spec))
        self._cached: dict[Resolution, Vector] = {}
        self._batches: dict[int, OnnxState] = {}
        self._session = open_session(model, model.content, ["CPUExecutionProvider"])
        self._run = self._session.run_with_iobinding

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> OnnxState:
        """Return the state of `batch` streams that have seen nothing.

        Raises:
            EngineError: the batch is empty.
        """
        if batch < 1:
            raise EngineError(f"a state holds at least 1 stream, got {batch}")
        return OnnxState(self, batch, resolution or self.resolution)

    def set_resolution(self, state: EngineState, resolution: Resolution) -> None:
        """Go on at another resolution from the next step, see `Engine.set_resolution`."""
        assert isinstance(state, OnnxState)  # noqa: S101  (a state comes from its own engine)
        ages = moved_ages(state.resolution, resolution)
        state.ring = moved_ring(state.ring, ages, resolution.lag)
        np.copyto(state.coefficients, self.coefficients(resolution))
        state.resolution = resolution

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        assert isinstance(state, OnnxState)  # noqa: S101
        if state.resolution.substeps == 1:
            state.of_many_steps = False
            return self._step_once(state)
        state.fired_in_all[:] = 0.0
        return self._step_bin(state)

    def run(self, state: EngineState, bins: SparseBins) -> Vector:
        """Step one stream through consecutive bins, see `Engine.run`; leaves `state.x` empty.

        Raises:
            EngineError: the state is one of several streams.
        """
        assert isinstance(state, OnnxState)  # noqa: S101
        if state.batch != 1:
            raise EngineError(f"a run steps one stream, this state holds {state.batch}")
        state.x[:] = 0.0
        state.fired_in_all[:] = 0.0
        if len(state.rows) < len(bins):
            state.rows = np.empty((max(len(bins), 2 * len(state.rows)), *state.y.shape), np.float32)
        y = state.rows[: len(bins)]
        self.walk(state, bins, 0, y)
        return y[:, 0]

    def run_many(self, jobs: Sequence[tuple[EngineState, SparseBins]]) -> list[Vector]:
        """Step several streams as one batch, see `Engine.run_many` and `engines.together`."""
        return run_together(self, jobs)

    def walk(self, state: OnnxState, bins: SparseBins, first: int, y: Vector) -> None:
        """Step through `len(y)` bins from `first` on, whose inputs index `state.x` as it lies flat.

        Adds to `state.fired_in_all`. `state.x` is empty before and after.
        """
        x = state.x.reshape(-1)
        edges = bins.starts[first : first + len(y) + 1].tolist()
        for row, (begin, end) in zip(y, pairwise(edges), strict=True):
            inputs = bins.inputs[begin:end]
            x[inputs] = bins.values[begin:end]
            row[:] = self._step_bin(state)
            x[inputs] = 0.0

    def _step_bin(self, state: OnnxState) -> Vector:
        """Step one bin and add its spikes to those before."""
        state.of_many_steps = True
        substeps = state.resolution.substeps
        if substeps == 1:
            y = self._step_once(state)
            state.fired_in_all += state.fired
            return y
        state.total[:] = 0.0
        for _ in range(substeps):
            state.total += self._step_once(state)
            state.fired_in_all += state.fired
        state.total /= substeps
        return state.total

    def _step_once(self, state: OnnxState) -> Vector:
        row = state.ring.hear(state.heard)
        self._run(state.bindings[state.turn])
        row[:] = state.fired
        state.turn ^= 1
        return state.y

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired, see `Engine.spikes`."""
        assert isinstance(state, OnnxState)  # noqa: S101
        flat = state.fired_in_all if state.of_many_steps else state.fired
        return {place.name: place.of(flat, state.batch) for place in self.spiking.places}

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`."""
        assert isinstance(state, OnnxState)  # noqa: S101
        # Spikes are 0 or 1 whatever their potential is: a hidden NaN shows in its own state only.
        finite = np.ones(state.batch, np.bool_)
        for place in self.variables.places:
            values = place.of(state.variables[state.turn], state.batch)
            finite &= np.isfinite(values).all(axis=(0, 2))
        return finite

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names.

        `<layer>.spikes` holds the last `lag` steps, rounded up, newest first:
        `(lag, batch, neurons)`.
        """
        assert isinstance(state, OnnxState)  # noqa: S101
        variables, history = state.variables[state.turn].copy(), state.ring.newest_first()
        saved = {p.name: p.of(variables, state.batch) for p in self.variables.places}
        saved |= {p.name: p.of(history, state.batch).copy() for p in self.spiking.places}
        return {spec.name: saved[spec.name] for spec in self.model.contract.states}

    def load_state(self, arrays: Arrays, resolution: Resolution | None = None) -> OnnxState:
        """Return a state that goes on exactly where the saved one stood.

        Raises:
            EngineError: a tensor is missing, unknown, or of another shape than this resolution's.
        """
        state = self.new_state(saved_batch(self.model, arrays), resolution)
        check_saved(self.model, arrays, state.batch, ceil(state.resolution.lag))
        for place in self.variables.places:
            place.of(state.variables[state.turn], state.batch)[:] = arrays[place.name]
        history = np.empty_like(state.ring.rows)
        for place in self.spiking.places:
            place.of(history, state.batch)[:] = arrays[place.name]
        state.ring.extend(history[::-1])
        return state

    def snapshot(self, state: EngineState) -> Saved:
        """Return a copy of a state, see `Engine.snapshot`."""
        return dict(self.save_state(state))

    def restore(self, saved: Saved, resolution: Resolution | None = None) -> OnnxState:
        """Return the state that a snapshot was taken of, see `Engine.restore`.

        Raises:
            CheckpointError: it is the state of another network or resolution.
        """
        return self.load_state(
            checked_state(self.model, saved, resolution or self.resolution), resolution
        )

    def coefficients(self, resolution: Resolution) -> Vector:
        """Return every coefficient of a resolution, one behind the other in the graph's order."""
        if resolution not in self._cached:
            if len(self._cached) >= _MOST_RESOLUTIONS:
                del self._cached[next(iter(self._cached))]
            bound = bound_coefficients(self.model.contract, resolution).values()
            self._cached[resolution] = np.concatenate([values.reshape(-1) for values in bound])
        return self._cached[resolution]

    def batch_state(self, batch: int) -> OnnxState:
        """Return a state in which `run_together` steps so many streams; it is kept."""
        if batch not in self._batches:
            self._batches[batch] = self.new_state(batch)
        return self._batches[batch]

    def binding_of(self, state: OnnxState, turn: int) -> object:
        """Return the binding that reads one vector of variables and writes the other."""
        inputs: dict[str, Vector] = {"x": state.x}
        outputs: dict[str, Vector] = {"y": state.y}
        end = 0
        for name, values in bound_coefficients(self.model.contract, state.resolution).items():
            inputs[name] = state.coefficients[end : end + values.size].reshape(values.shape)
            end += values.size
        for places, read, written in (
            (self.variables.places, state.variables[turn], state.variables[1 - turn]),
            (self.spiking.places, state.heard, state.fired),
        ):
            inputs |= {place.name: place.of(read, state.batch) for place in places}
            outputs |= {place.spec.next: place.of(written, state.batch) for place in places}
        return bind(self._session, inputs, outputs)
