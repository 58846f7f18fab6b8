"""The step by ONNX Runtime, on the CPU, without a copy or an allocation a step.

Every tensor of the graph is bound once. The states ping-pong between two buffers; the spikes go
round a ring, and the step reads the slot that is `lag` steps old. A binding a place in the ring is
made beforehand, so that a step is one call. A lag between two whole steps reads a buffer of its
own, into which the two slots are mixed.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.contract import StateSpec
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, bound_coefficients
from retempo.runtime.engine import Arrays, EngineState, Vector
from retempo.runtime.engines.saved import check_saved, is_spikes, saved_batch, shape_of
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, with_zeros

try:
    import onnxruntime
except ImportError as error:  # pragma: no cover - the extras install it
    raise EngineError(
        "ONNX Runtime is missing; install retempo[cpu], or retempo[gpu] on a machine with CUDA"
    ) from error

_PROVIDER = "CPUExecutionProvider"
_ERROR_ONLY = 3


class OnnxState:
    """The buffers of `batch` streams and the bindings that step them, see `OnnxEngine`."""

    def __init__(self, engine: "OnnxEngine", batch: int, resolution: Resolution) -> None:
        network = engine.model.contract.network
        self.batch = batch
        self.resolution = resolution
        self.x: Vector = np.zeros((batch, network.input.size), np.float32)
        self.y: Vector = np.zeros((batch, len(network.labels)), np.float32)
        self.position = 0
        # Bound without a copy: they must live as long as the bindings.
        self.coefficients = bound_coefficients(engine.model.contract, resolution)
        self.substeps = resolution.substeps
        self.lag = math.ceil(resolution.lag)
        # What the newer of the two slots weighs; 0 where the lag is whole and nothing is mixed.
        self.newer = np.float32(self.lag - resolution.lag)
        # An even ring holds a whole number of ping-pongs, so that its places suffice as bindings.
        self.places = self.lag + 1 + (self.lag + 1) % 2
        self.rings: dict[str, list[Vector]] = {
            spec.name: [
                np.zeros(shape_of(spec, batch), np.float32) for _ in range(self._slots(spec))
            ]
            for spec in engine.model.contract.states
        }
        self.mixed: dict[str, Vector] = {
            spec.name: np.zeros(shape_of(spec, batch), np.float32)
            for spec in engine.model.contract.states
            if is_spikes(spec) and self.newer
        }
        self._scratch = {name: np.zeros_like(mixed) for name, mixed in self.mixed.items()}
        self.total = np.zeros_like(self.y)
        self.fired: dict[str, Vector] = {
            spec.name: np.zeros(shape_of(spec, batch), np.float32)
            for spec in engine.model.contract.states
            if is_spikes(spec) and self.substeps > 1
        }
        self.bindings = [engine.bind(self, place) for place in range(self.places)]

    def mix(self) -> None:
        """Mix the spikes that the next step hears, where its lag lies between two whole steps."""
        for name, mixed in self.mixed.items():
            ring, scratch = self.rings[name], self._scratch[name]
            older = ring[(self.position - self.lag) % self.places]
            newer = ring[(self.position - self.lag + 1) % self.places]
            np.multiply(older, np.float32(1.0) - self.newer, out=mixed)
            np.multiply(newer, self.newer, out=scratch)
            np.add(mixed, scratch, out=mixed)

    def newest(self, name: str) -> Vector:
        """Return the spikes of the last step."""
        return self.rings[name][(self.position - 1) % self.places]

    def _slots(self, spec: StateSpec) -> int:
        return self.places if is_spikes(spec) else 2

    def read_slot(self, spec: StateSpec, place: int) -> Vector:
        """Return the buffer that the step at `place` reads."""
        ring = self.rings[spec.name]
        return ring[(place - self.lag) % len(ring) if is_spikes(spec) else place % 2]

    def write_slot(self, spec: StateSpec, place: int) -> Vector:
        """Return the buffer that the step at `place` writes."""
        ring = self.rings[spec.name]
        return ring[place % len(ring) if is_spikes(spec) else (place + 1) % 2]


class OnnxEngine:
    """Steps a model by ONNX Runtime on the CPU, see `runtime.engine.Engine`."""

    name = "onnx"
    batches = True

    def __init__(self, model: StepModel, resolution: Resolution) -> None:
        self.model = model
        options = onnxruntime.SessionOptions()
        # Default threads spin: they burn most of a core at a thousand steps a second.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                model.content, options, providers=[_PROVIDER]
            )
        except Exception as error:  # ONNX Runtime raises its own family and bare ones alike
            reason = str(error).strip().splitlines()[0]
            raise EngineError(f"ONNX Runtime refuses {model.name}: {reason}") from error
        self._run = self._session.run_with_iobinding
        self.resolution = resolution
        self.why = "asked for by name"

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> OnnxState:
        """Return the state of `batch` streams that have seen nothing.

        Raises:
            EngineError: the batch is empty.
        """
        if batch < 1:
            raise EngineError(f"a state holds at least 1 stream, got {batch}")
        return OnnxState(self, batch, resolution or self.resolution)

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        assert isinstance(state, OnnxState)  # noqa: S101  (a state comes from its own engine)
        if state.substeps == 1:
            return self._step_once(state)
        state.total[:] = 0.0
        for fired in state.fired.values():
            fired[:] = 0.0
        for _ in range(state.substeps):
            state.total += self._step_once(state)
            for name, fired in state.fired.items():
                fired += state.newest(name)
        state.total /= state.substeps
        return state.total

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

    def _step_once(self, state: OnnxState) -> Vector:
        if state.mixed:
            state.mix()
        self._run(state.bindings[state.position])
        state.position = (state.position + 1) % state.places
        return state.y

    def run_many(self, jobs: Sequence[tuple[EngineState, SparseBins]]) -> list[Vector]:
        """Step several streams one after the other, see `Engine.run_many`."""
        return [self.run(state, bins) for state, bins in jobs]

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired in the last bin, see `Engine.spikes`."""
        assert isinstance(state, OnnxState)  # noqa: S101
        if state.fired:
            return state.fired
        specs = self.model.contract.states
        return {spec.name: state.newest(spec.name) for spec in specs if is_spikes(spec)}

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`."""
        assert isinstance(state, OnnxState)  # noqa: S101
        # Spikes are 0 or 1 whatever their potential is: a hidden NaN shows in its own state only.
        finite = np.ones(state.batch, np.bool_)
        for spec in self.model.contract.states:
            if not is_spikes(spec):
                finite &= np.isfinite(state.read_slot(spec, state.position)).all(axis=(0, 2))
        return finite

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names.

        `<layer>.spikes` holds the last `lag` steps, rounded up, newest first:
        `(lag, batch, neurons)`.
        """
        assert isinstance(state, OnnxState)  # noqa: S101
        saved = {}
        for spec in self.model.contract.states:
            if is_spikes(spec):
                ages = range(1, state.lag + 1)
                history = [state.write_slot(spec, state.position - age) for age in ages]
                saved[spec.name] = np.stack(history)
            else:
                saved[spec.name] = state.read_slot(spec, state.position).copy()
        return saved

    def load_state(self, arrays: Arrays) -> OnnxState:
        """Return a state that goes on exactly where the saved one stood.

        Raises:
            EngineError: a tensor is missing, unknown, or of another shape than this resolution's.
        """
        state = self.new_state(saved_batch(self.model, arrays))
        check_saved(self.model, arrays, state.batch, state.lag)
        for spec in self.model.contract.states:
            if is_spikes(spec):
                for age in range(1, state.lag + 1):
                    state.write_slot(spec, -age)[:] = arrays[spec.name][age - 1]
            else:
                state.read_slot(spec, 0)[:] = arrays[spec.name]
        return state

    def bind(self, state: OnnxState, place: int) -> object:
        """Return the binding of the step at one place of the ring."""
        contract = self.model.contract
        inputs: dict[str, NDArray[np.float32]] = {"x": state.x, **state.coefficients}
        outputs: dict[str, NDArray[np.float32]] = {"y": state.y}
        for spec in contract.states:
            inputs[spec.name] = state.mixed.get(spec.name, state.read_slot(spec, place))
            outputs[spec.next] = state.write_slot(spec, place)
        return _binding(self._session, inputs, outputs)


def _binding(
    session: "onnxruntime.InferenceSession",
    inputs: Mapping[str, NDArray[np.float32]],
    outputs: Mapping[str, NDArray[np.float32]],
) -> object:
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for name, array in outputs.items():
        binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    return binding
