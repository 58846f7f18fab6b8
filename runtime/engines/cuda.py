"""The step by ONNX Runtime on a GPU: the state stays there, a step is the replay of a CUDA graph.

The graph of the file is given the past spikes as tensors that it shifts itself
(`exporters.history_graph`), and what weighs them as one more coefficient. So two bindings, between
which all states go to and fro, serve every lag up to the places of the history, and no shape and no
address in a captured graph changes with the resolution.

Unproven: no machine with a GPU has run this yet; `make gpu-check` is there to, and `auto` leaves it
out unless its first outputs are those of the CPU. The same class on
`device="cpu"`, without capture, is held to the tests of every engine. What follows ONNX Runtime's
documentation alone: that all nodes run on the GPU (else loading fails by name), that a graph is
captured and replayed for each `gpu_graph_id`, and that its memory is freed with the session only,
so states that come and go should be few.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.contract import StateSpec
from retempo.exporters.history_graph import TAPS, history_name, taps_of
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, bound_coefficients
from retempo.runtime.engine import Arrays, EngineState, Vector
from retempo.runtime.engines.cuda_state import CudaState, Device, open_device_session, places_of
from retempo.runtime.engines.device_graph import KEEP, total_name
from retempo.runtime.engines.history import moved_ages
from retempo.runtime.engines.saved import check_saved, checked_state, is_spikes, saved_batch
from retempo.runtime.engines.session import onnxruntime
from retempo.runtime.errors import EngineError
from retempo.runtime.saved_state import Saved
from retempo.runtime.sparse_bins import SparseBins


class CudaEngine:
    """Steps a model by ONNX Runtime on a GPU, see `runtime.engine.Engine`.

    A step copies `x` to the device and `y` back; all else stays there. `set_resolution` moves the
    history by way of the host, and captures anew where a lag outgrows it. Many streams belong into
    one state of as large a batch: `run_many` steps them one after the other.
    """

    name = "cuda"
    # A graph is captured a state: several streams belong into one state.
    batches = False

    def __init__(
        self,
        model: StepModel,
        resolution: Resolution,
        device: Device = "cuda",
        *,
        captures: bool = True,
    ) -> None:
        self.model = model
        self.resolution = resolution
        self.why = "asked for by name"
        self.captures = captures and device == "cuda"
        self._device = device
        self._graphs = 0
        self._session = open_device_session(model, device, captures=captures)

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> CudaState:
        """Return the state of `batch` streams that have seen nothing.

        Raises:
            EngineError: the batch is empty, or its history too large.
        """
        if batch < 1:
            raise EngineError(f"a state holds at least 1 stream, got {batch}")
        return CudaState(self, batch, resolution or self.resolution)

    def set_resolution(self, state: EngineState, resolution: Resolution) -> None:
        """Go on at another resolution from the next step, see `Engine.set_resolution`.

        Raises:
            EngineError: the history that its lag needs is too large; the state stays as it was.
        """
        assert isinstance(state, CudaState)  # noqa: S101  (a state comes from its own engine)
        saved = dict(self.save_state(state))
        counts = self.spikes(state)
        ages = moved_ages(state.resolution, resolution)
        for spec in self._spiking():
            moved = np.zeros((ceil(resolution.lag), *saved[spec.name].shape[1:]), np.float32)
            for row, age in zip(saved[spec.name], ages, strict=True):
                moved[age - 1] += row
            saved[spec.name] = moved
        outgrown = places_of(self.model, resolution, state.batch) > state.places
        state.resolution = resolution
        if outgrown:
            state.make(self)
        else:
            for name, values in self.coefficients(resolution, state.places).items():
                state.bound[name].update_inplace(values)
        self._write(state, saved)
        for spec in self._spiking():
            state.tensors[state.turn][total_name(spec)].update_inplace(counts[spec.name])

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        assert isinstance(state, CudaState)  # noqa: S101
        self._keep(state, False)
        return self._step_bin(state)

    def run(self, state: EngineState, bins: SparseBins) -> Vector:
        """Step one stream through consecutive bins, see `Engine.run`; leaves `state.x` empty.

        Raises:
            EngineError: the state is one of several streams.
        """
        assert isinstance(state, CudaState)  # noqa: S101
        if state.batch != 1:
            raise EngineError(f"a run steps one stream, this state holds {state.batch}")
        y = np.empty((len(bins), state.y.shape[1]), np.float32)
        state.x[:] = 0.0
        self._keep(state, False)
        if not len(bins):
            for spec in self._spiking():
                total = state.tensors[state.turn][total_name(spec)]
                total.update_inplace(np.zeros(total.shape(), np.float32))
        for k, row in enumerate(y):
            now = slice(bins.starts[k], bins.starts[k + 1])
            state.x[0, bins.inputs[now]] = bins.values[now]
            row[:] = self._step_bin(state)[0]
            state.x[0, bins.inputs[now]] = 0.0
            self._keep(state, True)
        return y

    def run_many(self, jobs: Sequence[tuple[EngineState, SparseBins]]) -> list[Vector]:
        """Step several streams one after the other, see `Engine.run_many`."""
        return [self.run(state, bins) for state, bins in jobs]

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired, see `Engine.spikes`; copied to the host."""
        assert isinstance(state, CudaState)  # noqa: S101
        tensors = state.tensors[state.turn]
        return {spec.name: tensors[total_name(spec)].numpy().copy() for spec in self._spiking()}

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`; copied to the host."""
        assert isinstance(state, CudaState)  # noqa: S101
        finite = np.ones(state.batch, np.bool_)
        for spec in self.model.contract.states:
            if not is_spikes(spec):
                values = state.tensors[state.turn][spec.name].numpy()
                finite &= np.isfinite(values).all(axis=(0, 2))
        return finite

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names, as the engine `onnx` does."""
        assert isinstance(state, CudaState)  # noqa: S101
        tensors, lag = state.tensors[state.turn], ceil(state.resolution.lag)
        return {
            spec.name: tensors[history_name(spec)].numpy()[:lag].copy()
            if is_spikes(spec)
            else tensors[spec.name].numpy().copy()
            for spec in self.model.contract.states
        }

    def load_state(self, arrays: Arrays, resolution: Resolution | None = None) -> CudaState:
        """Return a state that goes on exactly where the saved one stood.

        Raises:
            EngineError: a tensor is missing, unknown, or of another shape than this resolution's.
        """
        state = self.new_state(saved_batch(self.model, arrays), resolution)
        check_saved(self.model, arrays, state.batch, ceil(state.resolution.lag))
        self._write(state, arrays)
        return state

    def snapshot(self, state: EngineState) -> Saved:
        """Return a copy of a state, see `Engine.snapshot`."""
        return dict(self.save_state(state))

    def restore(self, saved: Saved, resolution: Resolution | None = None) -> CudaState:
        """Return the state that a snapshot was taken of, see `Engine.restore`.

        Raises:
            CheckpointError: it is the state of another network or resolution.
        """
        return self.load_state(
            checked_state(self.model, saved, resolution or self.resolution), resolution
        )

    def _write(self, state: CudaState, arrays: Arrays) -> None:
        for spec in self.model.contract.states:
            values = arrays[spec.name]
            name = history_name(spec) if is_spikes(spec) else spec.name
            tensor = state.tensors[state.turn][name]
            if is_spikes(spec):
                history = np.zeros(tensor.shape(), np.float32)
                history[: len(values)] = values
                values = history
            tensor.update_inplace(np.ascontiguousarray(values, np.float32))

    def _step_bin(self, state: CudaState) -> Vector:
        state.bound["x"].update_inplace(state.x)
        substeps = state.resolution.substeps
        if substeps == 1:
            return self._step_once(state)
        total = self._step_once(state).copy()
        for _ in range(substeps - 1):
            self._keep(state, True)
            total += self._step_once(state)
        return total / np.float32(substeps)

    def _step_once(self, state: CudaState) -> Vector:
        self.run_once(*state.steps[state.turn])
        state.turn ^= 1
        y: Vector = state.out.numpy()
        return y

    def _keep(self, state: CudaState, keeps: bool) -> None:
        """Say whether the next step adds its spikes to those counted before."""
        if state.keeps != keeps:
            state.bound[KEEP].update_inplace(np.array(float(keeps), np.float32))
            state.keeps = keeps

    def run_once(self, binding: Any, options: Any) -> None:
        """Run a binding; it is done when this returns."""
        self._session.run_with_iobinding(binding, options)

    def coefficients(self, resolution: Resolution, places: int) -> dict[str, Vector]:
        """Return every coefficient of a resolution, and the taps of its lag."""
        bound = bound_coefficients(self.model.contract, resolution)
        return {**bound, TAPS: taps_of(resolution.lag, places)} if self._spiking() else bound

    def on_device(self, values: Vector) -> Any:
        """Return a tensor on the device that starts with these values."""
        # On the CPU the array would be taken as it is, and must not be one that somebody writes.
        return onnxruntime.OrtValue.ortvalue_from_numpy(values.copy(), self._device, 0)

    def binding_of(self, state: CudaState, turn: int) -> tuple[Any, Any]:
        """Return the binding that reads one set of tensors, and the options of its run."""
        read, written = state.tensors[turn], state.tensors[1 - turn]
        binding = self._session.io_binding()
        # Without a spiking layer nothing is counted.
        bound = {name: t for name, t in state.bound.items() if name != KEEP or self._spiking()}
        for name, tensor in {**bound, **read}.items():
            binding.bind_ortvalue_input(name, tensor)
        binding.bind_ortvalue_output("y", state.out)
        for name, tensor in written.items():
            binding.bind_ortvalue_output(f"{name}_next", tensor)
        options = onnxruntime.RunOptions()
        if self.captures:
            # A graph holds the addresses of one binding: each has its own.
            self._graphs += 1
            options.add_run_config_entry("gpu_graph_id", str(self._graphs))
        return binding, options

    def _spiking(self) -> list[StateSpec]:
        return [spec for spec in self.model.contract.states if is_spikes(spec)]
