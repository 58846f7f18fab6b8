"""A network at any resolution in torch: what the exported step computes, for who works there."""

import math
from collections import deque

import numpy as np
import torch
from torch import Tensor

from retempo.exporters.description import LayerSpec, connection_of
from retempo.exporters.network import Network, check
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import LayerResolution, Resolution
from retempo.training.connections import product
from retempo.training.dynamics import LayerCoefficients, step


def run_adapted(network: Network, resolution: Resolution, x: Tensor) -> Tensor:
    """Step recordings from rest at a resolution, lag and inner steps included.

    The runtime's engines make the same decisions of the same bins.

    Shapes: `x` `(bins, batch, inputs)`; the result `(bins, batch, labels)`, of each bin the mean
    output of its inner steps.

    Raises:
        NetworkError: the network is inconsistent.
    """
    check(network)
    pairs = zip(network.spec.layers, resolution.layers, strict=True)
    layers = [_Layer(*pair, network, x.shape[1], resolution.lag) for pair in pairs]
    outputs = []
    for bin_ in x:
        total = torch.zeros(())
        for _ in range(resolution.substeps):
            signal = bin_
            for layer in layers:
                signal = layer.step(signal)
            total = total + torch.softmax(signal, dim=1)
        outputs.append(total / resolution.substeps)
    return torch.stack(outputs)


class _Layer:
    """The coefficients of one layer, and what it carries from step to step."""

    def __init__(
        self, spec: LayerSpec, values: LayerResolution, network: Network, batch: int, lag: float
    ) -> None:
        self.neuron = neuron_named(spec.neuron)
        V = network.weights.get(f"{spec.name}.V")
        self.coefficients = LayerCoefficients(
            A=_tensor(values.A),
            R=_tensor(values.R),
            F=_tensor(values.F),
            G=_tensor(values.G),
            V=None if V is None else _tensor(V),
            threshold=spec.threshold if self.neuron.spiking else math.inf,
            N=None if values.N is None else _tensor(values.N),
            upswing=self.neuron.upswing,
        )
        self.connection = connection_of(spec)
        self.W = _tensor(network.weights[f"{spec.name}.W"])
        self.gain, self.bias = _tensor(values.gain), _tensor(values.bias)
        variables, neurons = values.F.shape
        self.state = torch.zeros(variables, batch, neurons)
        older = math.ceil(lag)
        self.newer_weight = older - lag
        # The oldest spikes that are read stand first.
        self.history = deque([torch.zeros(batch, neurons)] * older, maxlen=older)

    def step(self, signal: Tensor) -> Tensor:
        """Return the layer's spikes, or a readout's potential."""
        heard = self.history[0]
        if self.newer_weight:
            heard = (1.0 - self.newer_weight) * heard + self.newer_weight * self.history[1]
        current = self.gain * product(self.connection, self.W, signal) + self.bias
        self.state, spikes = step(self.coefficients, self.state, heard, current)
        self.history.append(spikes)
        return spikes if self.neuron.spiking else self.state[0]


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))
