"""The step in plain NumPy: the text that every engine is held against.

step(network, resolution, state, x) -> (state, y)
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.connections import product
from retempo.exporters.contract import states_of
from retempo.exporters.description import connection_of
from retempo.exporters.network import Network
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import Resolution

Float = NDArray[np.floating]
State = Mapping[str, Float]


def zero_state(network: Network, batch: int, dtype: type[np.floating] = np.float32) -> State:
    """Return the state of `batch` streams that have seen nothing."""
    return {
        spec.name: np.zeros([batch if side == -1 else side for side in spec.shape], dtype)
        for spec in states_of(network.spec, 1)
    }


def step(network: Network, resolution: Resolution, state: State, x: Float) -> tuple[State, Float]:
    """Step a network once, in the dtype of `x`; a bin is `substeps` such steps.

    Args:
        network: weights and description.
        resolution: the coefficients of the step.
        state: by the contract's names; `<layer>.spikes` holds the spikes of `lag` steps ago.
        x: `(batch, inputs)`.

    Returns:
        The next state, in which `<layer>.spikes` holds the spikes of this step, and `y`,
        `(batch, labels)`.
    """
    after: dict[str, Float] = {}
    signal = x
    for layer, c in zip(network.spec.layers, resolution.layers, strict=True):
        neuron, name = neuron_named(layer.neuron), layer.name
        A, R, F, G, gain, bias, threshold = (
            np.asarray(values, x.dtype)
            for values in (c.A, c.R, c.F, c.G, c.gain, c.bias, c.threshold)
        )
        W = network.weights[f"{name}.W"].astype(x.dtype)
        current = gain * product(connection_of(layer), W, signal) + bias
        v = np.einsum("ijn,jbn->ibn", A, state[f"{name}.state"])
        v = v + F[:, np.newaxis] * current
        if neuron.spiking:
            v = v + R[:, np.newaxis] * state[f"{name}.spikes"]
        if neuron.recurrent:
            heard = state[f"{name}.spikes"] @ network.weights[f"{name}.V"].astype(x.dtype)
            v = v + G[:, np.newaxis] * heard
        if neuron.upswing is not None:
            x_of_before = np.clip(state[f"{name}.state"][0], 0.0, threshold)
            v = v + np.asarray(c.N, x.dtype)[:, np.newaxis] * neuron.upswing.value(x_of_before)
        after[f"{name}.state"] = v
        signal = v[0]
        if neuron.spiking:
            signal = (v[0] > threshold).astype(x.dtype)
            after[f"{name}.spikes"] = signal
    e = np.exp(signal - signal.max(axis=-1, keepdims=True))
    return after, e / e.sum(axis=-1, keepdims=True)
