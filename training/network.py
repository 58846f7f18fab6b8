"""A network in torch: modules that hold its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from retempo.exporters.connections import DENSE, Connection, positions, weight_shape
from retempo.exporters.neurons import Neuron, Range, neuron_named
from retempo.training.connections import normalised, product, to_neurons
from retempo.training.dynamics import layer_coefficients, run

READOUT = "leaky_readout"
NORM_MOMENTUM = 0.05
NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer before it has parameters."""

    name: str
    neuron: Neuron
    inputs: int
    neurons: int
    ranges: Mapping[str, Range]
    threshold: float = 1.0
    connection: Connection = DENSE


class LayerModule(nn.Module):
    """The parameters of one layer: `W`, `V`, the neuron's own, and batch norm.

    The neurons of a convolution share their channel's parameters and norm. W as `torch.nn.Linear`
    draws it, V orthogonal, the neuron's parameters uniform in their ranges.
    """

    def __init__(self, shape: LayerShape) -> None:
        super().__init__()
        self.shape = shape
        W = torch.empty(weight_shape(shape.connection, shape.inputs, shape.neurons))
        channels = shape.neurons // positions(shape.connection)
        bound = (W.numel() // channels) ** -0.5
        self.W = nn.Parameter(W.uniform_(-bound, bound))
        self.V: nn.Parameter | None = None
        if shape.neuron.recurrent:
            V = torch.empty(shape.neurons, shape.neurons)
            self.V = nn.Parameter(nn.init.orthogonal_(V))
        self.own = nn.ParameterDict(
            {
                name: nn.Parameter(torch.empty(channels).uniform_(range_.low, range_.high))
                for name, range_ in shape.ranges.items()
            }
        )
        self.norm = nn.BatchNorm1d(channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return the spikes of the layer, or the potential of a readout, at every step.

        Every row is a step of a recording, so the statistics of the norm are those of the
        recordings' own steps, however they differ in length.

        Shapes: `x` `(steps, inputs)`, the result `(steps, neurons)`.
        """
        V = None if self.V is None else zero_diagonal(self.V)
        coefficients = layer_coefficients(
            self.shape.neuron, per_neuron(self), V, self.shape.threshold
        )
        return run(coefficients, self.current(x), offsets)

    def current(self, x: Tensor) -> Tensor:
        """Return the input current of every neuron, `(steps, neurons)`."""
        connection = self.shape.connection
        return normalised(self.norm, connection, product(connection, self.W, x))

    def project_(self) -> None:
        """Move the neuron's parameters to the nearest values within their ranges.

        To be called after every step of an optimizer. A clamp in the forward pass would take the
        gradient from a parameter outside its range, which then never comes back.
        """
        with torch.no_grad():
            for name, range_ in self.shape.ranges.items():
                self.own[name].clamp_(range_.low, range_.high)


class NetworkModule(nn.Module):
    """A stack of spiking layers and a leaky readout."""

    def __init__(self, shapes: Sequence[LayerShape], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LayerModule(shape) for shape in shapes)
        self.dropout = dropout

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return `y`, the softmax of the readout's potential, at every step.

        Shapes: `x` `(steps, inputs)`, `offsets` `(recordings + 1,)`, the result `(steps, labels)`.
        """
        last = len(self.layers) - 1
        for position, layer in enumerate(self.layers):
            x = layer(x, offsets)
            if position < last:
                x = nn.functional.dropout(x, self.dropout, self.training)
        return torch.softmax(x, dim=1)

    def project_(self) -> None:
        """Move every neuron's parameters into their ranges, see `LayerModule.project_`."""
        for layer in self.layers:
            layer.project_()  # type: ignore[operator]


def mean_over_steps(y: Tensor, offsets: Tensor) -> Tensor:
    """Return each recording's mean over its own steps.

    Shapes: `y` `(steps, labels)`, the result `(recordings, labels)`.
    """
    lengths = offsets.diff()
    recording = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    sums = y.new_zeros(len(lengths), y.shape[1]).index_add(0, recording, y)
    return sums / lengths[:, None]


def per_neuron(layer: LayerModule) -> dict[str, Tensor]:
    """Return a layer's neuron parameters, one value a neuron."""
    connection = layer.shape.connection
    return {name: to_neurons(connection, values) for name, values in layer.own.items()}


def zero_diagonal(V: Tensor) -> Tensor:
    """Return V without the connections of neurons to themselves."""
    return V - torch.diag(torch.diag(V))


def layer_shapes(
    neuron: Neuron,
    inputs: int,
    hidden: Sequence[int],
    labels: int,
    ranges: Mapping[str, Range],
    first: Connection = DENSE,
) -> list[LayerShape]:
    """Return the shapes of a stack of equal neurons, the `first` so connected, and its readout."""
    shapes = []
    for position, neurons in enumerate(hidden):
        name, connection = f"hidden{position + 1}", DENSE if position else first
        shapes.append(LayerShape(name, neuron, inputs, neurons, ranges, connection=connection))
        inputs = neurons
    readout = neuron_named(READOUT)
    shapes.append(LayerShape("readout", readout, inputs, labels, readout.parameters))
    return shapes
