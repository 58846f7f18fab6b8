"""Random networks and events for tests."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
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
from retempo.sensors.events import EventChunk

SPIKING = sorted(name for name, neuron in NEURONS.items() if neuron.spiking)
LINEAR = [name for name in SPIKING if NEURONS[name].upswing is None]
NONLINEAR = [name for name in SPIKING if NEURONS[name].upswing is not None]


def make_parameters(
    neuron: str, neurons: int, rng: np.random.Generator, *, stable: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Draw parameters over the whole of their ranges; `stable` keeps spectral radii below 1."""
    ranges = NEURONS[neuron].parameters
    drawn = {name: rng.uniform(r.low, r.high, neurons) for name, r in ranges.items()}
    if stable and "a" in drawn:
        drawn["a"] = np.abs(drawn["a"])
    return drawn


def make_layer(
    name: str,
    neuron: str,
    inputs: int,
    neurons: int,
    rng: np.random.Generator,
    *,
    stable: bool = False,
) -> LayerSpec:
    parameters = make_parameters(neuron, neurons, rng, stable=stable)
    norm = NormSpec(
        mean=rng.normal(0.0, 0.5, neurons).tolist(),
        variance=rng.uniform(0.2, 2.0, neurons).tolist(),
        weight=rng.uniform(1.0, 4.0, neurons).tolist(),
        bias=rng.normal(0.5, 0.5, neurons).tolist(),
        epsilon=1e-5,
    )
    return LayerSpec(
        name=name,
        neuron=neuron,
        inputs=inputs,
        neurons=neurons,
        parameters={key: values.tolist() for key, values in parameters.items()},
        norm=norm,
    )


def make_network(
    neuron: str = "radlif",
    hidden: Sequence[int] = (16, 12),
    geometry: GridSpec | ChannelSpec | None = None,
    labels: int = 4,
    source_dt_us: int = 10_000,
    downsample: int = 1,
    seed: int = 0,
    *,
    stable: bool = False,
) -> Network:
    """Draw a network whose layers spike now and then."""
    rng = np.random.default_rng(seed)
    spec = InputSpec(geometry or GridSpec(6, 5, 2), downsample=downsample)
    layers, inputs = [], spec.size
    for position, neurons in enumerate(hidden):
        layers.append(make_layer(f"layer{position}", neuron, inputs, neurons, rng, stable=stable))
        inputs = neurons
    layers.append(make_layer("readout", "leaky_readout", inputs, labels, rng))
    network = NetworkSpec(
        version=DESCRIPTION_VERSION,
        source_dt_us=source_dt_us,
        input=spec,
        layers=layers,
        labels=[f"class {k}" for k in range(labels)],
    )
    weights = {
        name: (rng.normal(size=shape) / np.sqrt(shape[0] * 0.2)).astype(np.float32)
        for name, shape in weight_shapes(network).items()
    }
    return Network(network, weights)


def exactly_summed(network: Network) -> Network:
    """Round weights so that their sums are exact in any order, as a batch's order is its own."""
    weights = {
        name: (np.round(matrix * 64) / 64).astype(np.float32)
        for name, matrix in network.weights.items()
    }
    return Network(network.spec, weights)


def make_inputs(network: Network, steps: int, batch: int, seed: int = 1) -> NDArray[np.float32]:
    """Draw sparse event counts, `(steps, batch, inputs)`."""
    rng = np.random.default_rng(seed)
    return rng.poisson(0.1, (steps, batch, network.spec.input.size)).astype(np.float32)


def make_chunk(
    events: int, width: int, height: int, span_us: int, seed: int = 2, start_us: int = 0
) -> EventChunk:
    """Draw events in time order, uniform over a grid and a span."""
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(start_us, start_us + span_us, events)).astype(np.int64)
    return EventChunk(
        t_us=t_us,
        t_end_us=int(t_us[-1]) if events else start_us,
        x=rng.integers(0, width, events).astype(np.uint16),
        y=rng.integers(0, height, events).astype(np.uint16),
        on=rng.random(events) < 0.5,
    )


def cut(chunk: EventChunk, positions: Sequence[int]) -> list[EventChunk]:
    """Cut a grid chunk before each of the positions."""
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    edges = [0, *sorted(positions), len(chunk)]
    pieces = []
    for sequence, (begin, end) in enumerate(pairwise(edges)):
        times = chunk.t_us[begin:end]
        last = end == len(chunk)
        pieces.append(
            EventChunk(
                t_us=times,
                # The honest watermark: no later event lies before it.
                t_end_us=chunk.t_end_us if last else int(chunk.t_us[end:].min()),
                x=chunk.x[begin:end],
                y=chunk.y[begin:end],
                on=chunk.on[begin:end],
                sequence=sequence,
            )
        )
    return pieces


seeds = st.integers(0, 2**32 - 1)
neuron_names = st.sampled_from(SPIKING)
linear_names = st.sampled_from(LINEAR)
nonlinear_names = st.sampled_from(NONLINEAR)
