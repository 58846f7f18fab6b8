"""From a module to a checkpoint and back."""

from collections.abc import Sequence

import numpy as np
import torch
from msgspec import UNSET
from torch import Tensor, nn

from retempo.exporters.connections import DENSE, Connection
from retempo.exporters.description import (
    DESCRIPTION_VERSION,
    InputSpec,
    LayerSpec,
    NetworkSpec,
    NormSpec,
    connection_of,
)
from retempo.exporters.network import Network, check
from retempo.exporters.neurons import neuron_named
from retempo.training.connections import to_channels, to_neurons
from retempo.training.errors import TrainingError
from retempo.training.network import (
    LayerModule,
    LayerShape,
    NetworkModule,
    per_neuron,
    zero_diagonal,
)


def to_network(
    module: NetworkModule, input_spec: InputSpec, dt_us: int, labels: Sequence[str]
) -> Network:
    """Return what a module computes in evaluation as a checkpoint.

    Float32 numbers become the float64 of equal value; V has its zero diagonal.

    Raises:
        NetworkError: a parameter is not finite, or the parts do not fit.
    """
    layers, weights = [], {}
    for layer in module.layers:
        assert isinstance(layer, LayerModule)  # noqa: S101  (the constructor made it)
        shape = layer.shape
        layers.append(
            LayerSpec(
                name=shape.name,
                neuron=shape.neuron.name,
                inputs=shape.inputs,
                neurons=shape.neurons,
                parameters={name: _numbers(v) for name, v in per_neuron(layer).items()},
                norm=_norm_spec(layer.norm, shape.connection),
                threshold=shape.threshold,
                connection=UNSET if shape.connection == DENSE else shape.connection,
            )
        )
        weights[f"{shape.name}.W"] = layer.W.detach().numpy().copy()
        if layer.V is not None:
            weights[f"{shape.name}.V"] = zero_diagonal(layer.V.detach()).numpy().copy()
    spec = NetworkSpec(DESCRIPTION_VERSION, dt_us, input_spec, layers, list(labels))
    network = Network(spec, weights)
    check(network)
    return network


def from_network(network: Network, dropout: float = 0.0) -> NetworkModule:
    """Return a module that computes, in evaluation, what the checkpoint says.

    Raises:
        NetworkError: the checkpoint is inconsistent.
        TrainingError: a neuron of it is connected to itself, or the neurons of a channel differ.
    """
    check(network)
    shapes = []
    for spec in network.spec.layers:
        neuron = neuron_named(spec.neuron)
        shapes.append(
            LayerShape(
                spec.name,
                neuron,
                spec.inputs,
                spec.neurons,
                neuron.parameters,
                spec.threshold,
                connection_of(spec),
            )
        )
    module = NetworkModule(shapes, dropout)
    with torch.no_grad():
        for layer, spec in zip(module.layers, network.spec.layers, strict=True):
            assert isinstance(layer, LayerModule)  # noqa: S101
            layer.W.copy_(torch.from_numpy(network.weights[f"{spec.name}.W"]))
            if layer.V is not None:
                V = network.weights[f"{spec.name}.V"]
                if V.diagonal().any():
                    raise TrainingError(
                        f"{spec.name}.V connects neurons to themselves; networks trained here "
                        "have a zero diagonal"
                    )
                layer.V.copy_(torch.from_numpy(V))
            for name, values in spec.parameters.items():
                key = f"{spec.name}.{name}"
                layer.own[name].copy_(to_channels(key, connection_of(spec), values))
            _set_norm(layer.norm, spec)
    return module.eval()


def _numbers(values: Tensor) -> list[float]:
    return [float(value) for value in values.detach().numpy().astype(np.float64)]


def _norm_spec(norm: nn.BatchNorm1d, connection: Connection) -> NormSpec:
    def numbers(values: Tensor | None) -> list[float]:
        assert values is not None  # noqa: S101  (torch types a norm's parts as optional)
        return _numbers(to_neurons(connection, values))

    return NormSpec(
        mean=numbers(norm.running_mean),
        variance=numbers(norm.running_var),
        weight=numbers(norm.weight),
        bias=numbers(norm.bias),
        epsilon=norm.eps,
    )


def _set_norm(norm: nn.BatchNorm1d, spec: LayerSpec) -> None:
    assert norm.running_mean is not None  # noqa: S101
    assert norm.running_var is not None  # noqa: S101
    if spec.norm is None:
        norm.eps = 0.0
        return
    parts = {
        "mean": norm.running_mean,
        "variance": norm.running_var,
        "weight": norm.weight,
        "bias": norm.bias,
    }
    for name, values in parts.items():
        given = getattr(spec.norm, name)
        values.copy_(to_channels(f"{spec.name}.norm.{name}", connection_of(spec), given))
    norm.eps = spec.norm.epsilon
