"""The engine `sparse`, see `runtime.engine.Engine`."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, network_of
from retempo.runtime.engine import Arrays, EngineState, Vector
from retempo.runtime.engines.history import moved_ages
from retempo.runtime.engines.saved import check_saved, saved_batch
from retempo.runtime.engines.sparse.arena import LOADED
from retempo.runtime.engines.sparse.entry import BAD_BINS, ENTRY, ODD_BINS, STEP, WAKE
from retempo.runtime.engines.sparse.lists import check_lists
from retempo.runtime.engines.sparse.memory import Memory
from retempo.runtime.engines.sparse.memory_saved import load_memory, save_memory
from retempo.runtime.engines.sparse.program import (
    NEURONS,
    SPIKES_AT,
    SPIKING,
    STATE_AT,
    VARIABLES,
    program_of,
)
from retempo.runtime.engines.sparse.tuning import Tuning, tuning_of
from retempo.runtime.errors import EngineError
from retempo.runtime.saved_state import Saved
from retempo.runtime.sparse_bins import SparseBins

# How many resolutions an engine keeps at hand, so that going to and fro costs little.
_TUNINGS = 16


class SparseState:
    """What `batch` streams carry, see `SparseEngine`."""

    def __init__(self, engine: "SparseEngine", batch: int, tuning: Tuning) -> None:
        inputs = engine.model.contract.network.input.size
        self.batch = batch
        self.tuning = tuning
        self.memory = Memory(engine.program, tuning, batch, inputs)
        self._x: Vector = self.memory.x[:, :inputs]
        self.y: Vector = self.memory.y
        # What `run` returns; it grows with the longest run.
        self.ys: Vector = np.zeros((1, self.y.shape[1]), np.float32)
        self._call = ENTRY.call
        self._table = self.memory.address

    @property
    def x(self) -> Vector:
        """The input of the next step, to be written in place: see `EngineState`."""
        return self._x

    @property
    def resolution(self) -> Resolution:
        """How the streams are stepped now."""
        return self.tuning.resolution

    def step(self) -> None:
        """Step all streams by `x`."""
        if not self._call(self._table, 0, 0, 0, 0, 0, STEP):
            self.memory.plan(self.tuning.plan)
            self._call(self._table, 0, 0, 0, 0, 0, STEP)

    def wake(self) -> None:
        """Bring what sleeps up to date: `memory.values` are those of now."""
        self._call(self._table, 0, 0, 0, 0, 0, WAKE)

    def run(self, lists: SparseBins) -> int:
        """Step the one stream by bins into `ys`; returns how many are done, or what is wrong."""
        try:
            bins = len(lists.starts) - 1
        except TypeError:
            return ODD_BINS
        if bins < 1:
            return ODD_BINS
        done = 0
        if bins > len(self.ys):
            self.ys = np.zeros((max(bins, 2 * len(self.ys)), self.y.shape[1]), np.float32)
        arrays = id(lists.starts), id(lists.inputs), id(lists.values), id(self.ys)
        while True:
            done = self._call(self._table, *arrays, done, bins)
            if done == bins or done < 0:
                return done
            self.memory.plan(self.tuning.plan)


class SparseEngine:
    """Steps a model on the CPU, touching only the weights of what is active.

    The same file as for `onnx`; a step allocates nothing and releases the GIL. Long silence is
    slept through in closed form, see `kernel`.
    """

    name = "sparse"
    batches = False

    def __init__(self, model: StepModel, resolution: Resolution) -> None:
        self.model = model
        self.program = program_of(network_of(model))
        self.resolution = resolution
        self.why = "asked for by name"
        self._tuned = lru_cache(_TUNINGS)(lambda wanted: tuning_of(self.program, wanted))

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> SparseState:
        """Return the state of `batch` streams that have seen nothing.

        Raises:
            EngineError: the batch is empty.
        """
        if batch < 1:
            raise EngineError(f"a state holds at least 1 stream, got {batch}")
        return SparseState(self, batch, self._tuned(resolution or self.resolution))

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        assert isinstance(state, SparseState)  # noqa: S101  (a state comes from its own engine)
        state.step()
        return state.y

    def set_resolution(self, state: EngineState, resolution: Resolution) -> None:
        """Go on at another resolution from the next step, see `Engine.set_resolution`."""
        assert isinstance(state, SparseState)  # noqa: S101
        if resolution is state.resolution:
            return
        state.wake()
        ages = moved_ages(state.resolution, resolution)
        state.tuning = self._tuned(resolution)
        state.memory.retune(state.tuning, ages)

    def run(self, state: EngineState, bins: SparseBins) -> Vector:
        """Step one stream through consecutive bins, see `Engine.run`.

        Raises:
            EngineError: the state holds several streams, or the bins are not those of this model.
        """
        assert isinstance(state, SparseState)  # noqa: S101
        if state.batch != 1:
            raise EngineError(f"a run steps 1 stream, the state holds {state.batch}")
        steps = state.run(bins)
        if steps == ODD_BINS:
            bins = check_lists(bins)
            if len(bins) == 0:
                state.memory.fired[:] = 0.0
                return state.ys[:0]
            steps = state.run(bins)
        assert steps != ODD_BINS  # noqa: S101  (they are copies)
        if steps == BAD_BINS:
            raise EngineError(
                f"bins list inputs from 0 to {state.x.shape[1] - 1} from one start to the next; "
                f"got {bins.inputs.min(initial=0)} to {bins.inputs.max(initial=0)}"
            )
        return state.ys[:steps]

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
        # The saved one and this one go on alike, so that neither may sleep on from before.
        state.wake()
        memory, lag = state.memory, state.tuning.lag
        saved = {}
        for name, part, shape in self._variables():
            values = state.memory.values[:, part].reshape(state.batch, *shape)
            saved[f"{name}.state"] = values.swapaxes(0, 1).copy()
        for layer, (name, part) in enumerate(self._spiking().items()):
            history = np.zeros((lag, state.batch, part.stop - part.start), np.float32)
            for age in range(1, lag + 1):
                place = (memory.position - age) % (lag + 1)
                for b in range(state.batch):
                    heard = slice(part.start, part.start + int(memory.counts[b, place, layer]))
                    history[age - 1, b, memory.ring[b, place, heard]] = (
                        memory.loads[b, place, heard] if memory.table[LOADED] else 1.0
                    )
            saved[f"{name}.spikes"] = history
        return saved

    def load_state(self, arrays: Arrays, resolution: Resolution | None = None) -> SparseState:
        """Return a state that goes on exactly where the saved one stood.

        Raises:
            EngineError: a tensor is missing, unknown, or of another shape than this resolution's;
                or spikes are not as often as 0, 1, 2, ... times.
        """
        state = self.new_state(saved_batch(self.model, arrays), resolution)
        memory, lag = state.memory, state.tuning.lag
        check_saved(self.model, arrays, state.batch, lag)
        for name, part, _ in self._variables():
            memory.values[:, part] = arrays[f"{name}.state"].swapaxes(0, 1).reshape(state.batch, -1)
        often, youngest = np.zeros(memory.ring.shape, np.float32), 0
        for layer, (name, part) in enumerate(self._spiking().items()):
            history = arrays[f"{name}.spikes"]
            if not ((history >= 0.0) & (history == np.floor(history))).all():
                raise EngineError(f"saved state {name}.spikes holds spikes that are not 0, 1, 2...")
            for age in range(1, lag + 1):
                place = -age % (lag + 1)
                for b in range(state.batch):
                    spikes = history[age - 1, b]
                    listed = np.flatnonzero(spikes)
                    heard = slice(part.start, part.start + len(listed))
                    memory.ring[b, place, heard] = listed
                    memory.counts[b, place, layer] = len(listed)
                    often[b, place, heard] = spikes[listed]
                if (history[age - 1] > 1.0).any():
                    youngest = min(youngest or age, age)
        memory.load(often, youngest)
        return state

    def snapshot(self, state: EngineState) -> Saved:
        """Return a copy of a state, asleep or awake, see `Engine.snapshot`."""
        assert isinstance(state, SparseState)  # noqa: S101
        return save_memory(state.memory)

    def restore(self, saved: Saved, resolution: Resolution | None = None) -> SparseState:
        """Return the state that a snapshot was taken of, see `Engine.restore`.

        Raises:
            CheckpointError: it is the state of another network or resolution.
        """
        state = self.new_state(1, resolution)
        load_memory(state.memory, state.tuning, saved)
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
