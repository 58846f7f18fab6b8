"""Random networks that fire at a wanted rate, and their inputs."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from retempo.exporters.description import (
    DESCRIPTION_VERSION,
    ChannelSpec,
    GridSpec,
    InputSpec,
    LayerSpec,
    NetworkSpec,
    NormSpec,
)
from retempo.exporters.network import Network, weight_shapes
from retempo.exporters.neurons import NEURONS
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.engines import load_engine
from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording

Array = NDArray[np.float32]

DT_US = 1_000
CALIBRATION_STEPS = 600
# Adaptation takes its time: before it has come to rest, neurons fire more than they will.
_SETTLING_STEPS = 300
_HALVINGS = 18
# Wide enough for any rate: a current beyond it silences every neuron, or fires it always.
_BIASES = (-60.0, 200.0)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A network as every contestant gets it, and its inputs, `(bins, batch, inputs)`."""

    network: Network
    model: StepModel
    x: Array
    rates: tuple[float, ...]

    @property
    def batch(self) -> int:
        return self.x.shape[1]


def setting_of(network: Network, x: Array, rate: float) -> Setting:
    """Tune a network on inputs until its hidden neurons fire at a rate, and export it."""
    network = _tuned(network, x[:CALIBRATION_STEPS, 0], rate)
    content = build_step(network, resolve(network.spec, DT_US, "none")).SerializeToString()
    model = parse_step(content, "random.onnx")
    return Setting(network, model, x, _measured(model, x))


def drawn(width: int, rate: float, batch: int = 1, input_rate: float = 0.05) -> Setting:
    """140 channels -> 2 recurrent layers of adLIF -> 20, with random spikes as inputs."""
    rng = np.random.default_rng(width)
    x = (rng.random((1_000, batch, 140)) < input_rate).astype(np.float32)
    return setting_of(random_network(InputSpec(ChannelSpec(140)), width, 20), x, rate)


def nmnist(recordings: list[Path], width: int, rate: float) -> Setting:
    """2312 pixels -> 2 recurrent layers of adLIF -> 10, with real recordings as inputs."""
    spec = InputSpec(GridSpec(34, 34, 2))
    x = np.concatenate([rows_of(path) for path in recordings])
    return setting_of(random_network(spec, width, 10), x[:, np.newaxis], rate)


def rows_of(path: Path) -> Array:
    """Return the counts of a recording in bins of 1 ms, `(bins, 2312)`."""
    events = read_all(open_recording(path))
    bins = (events.t_us - events.t_us.min()) // DT_US
    places = events.on.astype(np.int64) * 34 * 34 + events.y.astype(np.int64) * 34 + events.x
    counts = np.bincount(bins * 2312 + places, minlength=(int(bins.max()) + 1) * 2312)
    return counts.reshape(-1, 2312).astype(np.float32)


def random_network(spec: InputSpec, width: int, labels: int, seed: int = 0) -> Network:
    """Two recurrent layers of adLIF and a readout, with random weights and no bias."""
    rng = np.random.default_rng(seed)
    sizes = [spec.size, width, width, labels]
    layers = []
    for k, name in enumerate(("hidden0", "hidden1", "readout")):
        neuron = "leaky_readout" if name == "readout" else "radlif"
        parameters = {
            key: rng.uniform(max(0.0, r.low), r.high, sizes[k + 1]).tolist()
            for key, r in NEURONS[neuron].parameters.items()
        }
        layers.append(_layer(name, neuron, sizes[k], sizes[k + 1], parameters))
    network = NetworkSpec(
        version=DESCRIPTION_VERSION,
        source_dt_us=DT_US,
        input=spec,
        layers=layers,
        labels=[str(k) for k in range(labels)],
    )
    weights = {
        name: (rng.normal(size=shape) / np.sqrt(shape[0] * 0.2)).astype(np.float32)
        for name, shape in weight_shapes(network).items()
    }
    return Network(network, weights)


def _layer(
    name: str, neuron: str, inputs: int, neurons: int, parameters: dict[str, list[float]]
) -> LayerSpec:
    ones, zeros = [1.0] * neurons, [0.0] * neurons
    norm = NormSpec(mean=zeros, variance=ones, weight=ones, bias=zeros, epsilon=0.0)
    return LayerSpec(name, neuron, inputs, neurons, parameters, norm)


def _tuned(network: Network, x: Array, rate: float) -> Network:
    """Set one bias a hidden layer, by bisection, layer after layer."""
    layers = list(network.spec.layers)
    signal = x
    for k, layer in enumerate(layers[:-1]):
        current = signal @ network.weights[f"{layer.name}.W"]
        V = network.weights[f"{layer.name}.V"]
        low, high = _BIASES
        for _ in range(_HALVINGS):
            bias = 0.5 * (low + high)
            signal = _spikes(layer, current + np.float32(bias), V)
            low, high = (bias, high) if signal[_SETTLING_STEPS:].mean() < rate else (low, bias)
        assert layer.norm is not None
        norm = msgspec.structs.replace(layer.norm, bias=[bias] * layer.neurons)
        layers[k] = msgspec.structs.replace(layer, norm=norm)
    return replace(network, spec=msgspec.structs.replace(network.spec, layers=layers))


def _spikes(layer: LayerSpec, current: Array, V: Array) -> Array:
    """Step one layer of adLIF through all its currents, `(bins, neurons)`."""
    alpha, beta, a, b = (
        np.array(layer.parameters[key], np.float32) for key in ("alpha", "beta", "a", "b")
    )
    u = w = s = np.zeros(layer.neurons, np.float32)
    fired = np.zeros_like(current)
    for k, i in enumerate(current):
        w = beta * w + a * u + b * s
        u = alpha * (u - s) + (1.0 - alpha) * (i + s @ V - w)
        s = fired[k] = (u > 1.0).astype(np.float32)
    return fired


def _measured(model: StepModel, x: Array) -> tuple[float, ...]:
    """Return the share of each hidden layer's neurons that fire in a bin, by the engine's word."""
    engine = load_engine(model, model.resolution(), "onnx")
    state = engine.new_state(x.shape[1])
    totals: dict[str, float] = {}
    for k, row in enumerate(x):
        state.x[:] = row
        engine.step(state)
        for name, fired in engine.spikes(state).items() if k >= _SETTLING_STEPS else ():
            totals[name] = totals.get(name, 0.0) + float(fired.mean())
    return tuple(total / (len(x) - _SETTLING_STEPS) for total in totals.values())
