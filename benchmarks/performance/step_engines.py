"""Steps by Retempo's engines, by ONNX Runtime bare, and in NumPy: one network, one equation."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

from benchmarks.performance.measure import Step
from benchmarks.performance.networks import Setting
from retempo.exporters.step_model import StepModel, output_shapes
from retempo.runtime.engines import load_engine
from retempo.runtime.sparse_bins import without_zeros


def engine_step(name: str) -> Callable[[Setting], Step]:
    """`engine.step(state)`: the input is copied into the state, zeros and all."""

    def make(setting: Setting) -> Step:
        engine = load_engine(setting.model, setting.model.resolution(), name)
        state, x = engine.new_state(setting.batch), setting.x

        def step(k: int) -> object:
            np.copyto(state.x, x[k % len(x)])
            return engine.step(state)

        return step

    return make


def engine_run(name: str, bins_a_call: int) -> Callable[[Setting], Step]:
    """`engine.run(state, bins)`: the lists of active inputs as a binner makes them."""

    def make(setting: Setting) -> Step:
        engine = load_engine(setting.model, setting.model.resolution(), name)
        state = engine.new_state(1)
        calls = len(setting.x) // bins_a_call
        rows = setting.x[: calls * bins_a_call, 0].reshape(calls, bins_a_call, -1)
        bins = [without_zeros(part) for part in rows]
        return lambda k: engine.run(state, bins[k % calls])

    return make


def bare_graph(model: StepModel) -> bytes:
    """Return the step with its coefficients as constants, which a rival's own export would have."""
    found = onnx.load_model_from_string(model.content)
    constants = {tensor.name for tensor in found.graph.initializer}
    inputs = [value for value in found.graph.input if value.name not in constants]
    del found.graph.input[:]
    found.graph.input.extend(inputs)
    content: bytes = found.SerializeToString()
    return content


def _session(model: StepModel) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        bare_graph(model), options, providers=["CPUExecutionProvider"]
    )


def _zeros(model: StepModel, batch: int) -> dict[str, np.ndarray]:
    """The outputs of a step, and so its states too: a state is called as its next one is."""
    return {
        name: np.zeros([batch if side == -1 else side for side in shape], np.float32)
        for name, shape in output_shapes(model.contract).items()
    }


def ort_bound(setting: Setting) -> Step:
    """ONNX Runtime with IO binding: every tensor bound once, the states in two buffers in turn."""
    session, x = _session(setting.model), setting.x
    own = np.zeros_like(x[0])
    buffers = [_zeros(setting.model, setting.batch) for _ in range(2)]
    bindings = []
    for read, written in ((0, 1), (1, 0)):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", _ort(own))
        for state in setting.model.contract.states:
            binding.bind_ortvalue_input(state.name, _ort(buffers[read][state.next]))
        for name, buffer in buffers[written].items():
            binding.bind_ortvalue_output(name, _ort(buffer))
        bindings.append(binding)
    run = session.run_with_iobinding

    def step(k: int) -> object:
        np.copyto(own, x[k % len(x)])
        run(bindings[k & 1])
        return buffers[1 - (k & 1)]["y"]

    return step


def ort_run(setting: Setting) -> Step:
    """ONNX Runtime by `run()`, the states fed back as they come out."""
    session, x = _session(setting.model), setting.x
    states = setting.model.contract.states
    zeros = _zeros(setting.model, setting.batch)
    feeds = {state.name: zeros[state.next] for state in states}
    outputs = ["y", *(state.next for state in states)]
    names = [state.name for state in states]

    def step(k: int) -> object:
        feeds["x"] = x[k % len(x)]
        y, *after = session.run(outputs, feeds)
        feeds.update(zip(names, after, strict=True))
        return y

    return step


def in_numpy(setting: Setting) -> Step:
    """The equations of adLIF in NumPy, as they stand in sparch."""
    x, weights = setting.x, setting.network.weights
    hidden, readout = setting.network.spec.layers[:-1], setting.network.spec.layers[-1]
    layers = []
    for layer in hidden:
        values = [
            np.array(layer.parameters[key], np.float32) for key in ("alpha", "beta", "a", "b")
        ]
        assert layer.norm is not None
        bias = np.array(layer.norm.bias, np.float32)
        matrices = weights[f"{layer.name}.W"], weights[f"{layer.name}.V"]
        state = [np.zeros((setting.batch, layer.neurons), np.float32) for _ in range(3)]
        layers.append((*values, bias, *matrices, state))
    W = weights["readout.W"]
    kept = np.array(readout.parameters["alpha"], np.float32)
    total = np.zeros((setting.batch, readout.neurons), np.float32)

    def step(k: int) -> object:
        nonlocal total
        signal = x[k % len(x)]
        for alpha, beta, a, b, bias, W_in, V, state in layers:
            u, w, s = state
            w = beta * w + a * u + b * s
            u = alpha * (u - s) + (1.0 - alpha) * (signal @ W_in + bias + s @ V - w)
            signal = (u > 1.0).astype(np.float32)
            state[:] = u, w, signal
        total = kept * total + (1.0 - kept) * (signal @ W)
        e = np.exp(total - total.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    return step


def _ort(array: np.ndarray) -> onnxruntime.OrtValue:
    # On the CPU the value is the array's own memory, no copy of it.
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
