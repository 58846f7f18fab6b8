"""A network as plain data: what it is, without its large matrices.

The same description is a run's `network.json` and the heart of a model's contract. It holds what
every other resolution follows from: neuron models, their source parameters, the normalisation
statistics, the source time step.
"""

from typing import Literal

import msgspec
import numpy as np

from retempo.exporters.adaptation import Layer
from retempo.exporters.connections import (
    DENSE,
    Connection,
    Grid,
    check_connection,
    output_shape,
)
from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons import neuron_named, source_coefficients
from retempo.exporters.normalisation import BatchNorm, no_batch_norm

DESCRIPTION_VERSION = 1

# A day: longer than any bin worth waiting for, and far from where 64 bits end.
LONGEST_DT_US = 86_400_000_000

BinMode = Literal["sum", "binary", "max", "mean"]


class GridSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="grid", tag_field="kind"
):
    """A sensor of `width` x `height` pixels and 1 or 2 polarities."""

    width: int
    height: int
    polarities: int = 2


class ChannelSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="channels", tag_field="kind"
):
    """A sensor of `channels` channels."""

    channels: int


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How events become the input vector of a bin.

    On a grid, input `(p * rows + y // downsample) * columns + x // downsample` is that of the
    events of polarity `p` (0 off, 1 on) in the bin; a channel sensor's input is its channel
    divided by `downsample`.

    By `bin_mode` an input is the count of its events (`sum`), 1 if there is any (`binary`), the
    count divided by the bin's length in units of `bin_unit_us` (`mean`, a rate), or the largest
    count of one such unit within the bin (`max`); unit `j` is `[j, j + 1) * bin_unit_us` of event
    time. `occupancy` is the share of source bins in which an input is not 0 while it is active,
    known for `binary` and `max`; see `exporters.bin_laws`.

    `ear` is what heard the sound that a channel network was trained on: its `kind` and every
    setting, as plain data that `sensors.ears.registry` reads. A network of another sensor has none.
    """

    geometry: GridSpec | ChannelSpec
    bin_mode: BinMode = "sum"
    downsample: int = 1
    bin_unit_us: int = 1_000
    occupancy: float | None = None
    ear: dict[str, str | int | float] | msgspec.UnsetType = msgspec.UNSET

    @property
    def size(self) -> int:
        """How many inputs the network has."""
        step = self.downsample
        if isinstance(self.geometry, ChannelSpec):
            return -(-self.geometry.channels // step)
        grid = self.geometry
        return grid.polarities * -(-grid.width // step) * -(-grid.height // step)

    @property
    def shape(self) -> Grid | None:
        """The grid of the inputs: polarities, rows, columns; None for a channel sensor."""
        if isinstance(self.geometry, ChannelSpec):
            return None
        grid, step = self.geometry, self.downsample
        return grid.polarities, -(-grid.height // step), -(-grid.width // step)


class NormSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The statistics and the affine part of a layer's batch norm."""

    mean: list[float]
    variance: list[float]
    weight: list[float]
    bias: list[float]
    epsilon: float


class LayerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One layer: its neuron model and the parameters that it was trained to.

    A parameter and a norm have one value a neuron, those of a convolution too. Without a
    `connection` the layer is dense; a description of dense layers reads as it always has.
    """

    name: str
    neuron: str
    inputs: int
    neurons: int
    parameters: dict[str, list[float]]
    norm: NormSpec | None = None
    threshold: float = 1.0
    connection: Connection | msgspec.UnsetType = msgspec.UNSET


class NetworkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feed-forward stack of layers; the last one is the readout.

    `input_correlation` is the autocorrelation of the sensor-fed layer's current over the training
    recordings, one value a source step, see `exporters.matching`.
    """

    version: int
    source_dt_us: int
    input: InputSpec
    layers: list[LayerSpec]
    labels: list[str]
    output: Literal["softmax"] = "softmax"
    input_correlation: list[float] | None = None


def connection_of(spec: LayerSpec) -> Connection:
    """Return how the layer is connected to its input."""
    return DENSE if isinstance(spec.connection, msgspec.UnsetType) else spec.connection


def layer_of(spec: LayerSpec) -> Layer:
    """Return what an adaptation method sees of the layer."""
    parameters = {name: np.array(values) for name, values in spec.parameters.items()}
    return Layer(spec.name, neuron_named(spec.neuron), parameters)


def is_linear(network: NetworkSpec) -> bool:
    """Return whether every neuron is linear between its spikes."""
    return all(neuron_named(layer.neuron).upswing is None for layer in network.layers)


def norm_of(spec: LayerSpec) -> BatchNorm:
    """Return the layer's batch norm, the identity where it has none."""
    if spec.norm is None:
        return no_batch_norm(spec.neurons)
    return BatchNorm(
        mean=np.array(spec.norm.mean),
        variance=np.array(spec.norm.variance),
        weight=np.array(spec.norm.weight),
        bias=np.array(spec.norm.bias),
        epsilon=spec.norm.epsilon,
    )


def check_network(spec: NetworkSpec) -> None:
    """Check that a description is complete and consistent.

    Raises:
        NetworkError: it is not; the text names the layer.
    """
    if spec.version != DESCRIPTION_VERSION:
        raise NetworkError(
            f"network description has version {spec.version}, this Retempo reads "
            f"{DESCRIPTION_VERSION}; export the network again"
        )
    for key, value in (
        ("source_dt_us", spec.source_dt_us),
        ("bin_unit_us", spec.input.bin_unit_us),
    ):
        if not 1 <= value <= LONGEST_DT_US:
            raise NetworkError(f"{key} is {value}, expected at least 1 and at most a day")
    if spec.input.downsample < 1:
        raise NetworkError(f"downsample is {spec.input.downsample}, expected at least 1")
    if spec.input.occupancy is not None and not 0.0 < spec.input.occupancy < 1.0:
        raise NetworkError(f"occupancy is {spec.input.occupancy}, expected between 0 and 1")
    if spec.input.ear is not msgspec.UNSET and isinstance(spec.input.geometry, GridSpec):
        raise NetworkError("a network of a pixel grid has an ear, expected none; export it again")
    if not spec.layers:
        raise NetworkError("a network has at least a readout layer, this one has no layer")
    names = [layer.name for layer in spec.layers]
    if len(set(names)) != len(names) or not all(name.isidentifier() for name in names):
        raise NetworkError(f"layer names must be distinct identifiers, got {', '.join(names)}")
    correlation = [1.0] if spec.input_correlation is None else spec.input_correlation
    if correlation[:1] != [1.0] or not (np.abs(correlation) <= 1.0 + 1e-9).all():
        raise NetworkError("input_correlation is no autocorrelation: 1 at first, then within 1")
    inputs, shape = spec.input.size, spec.input.shape
    for position, layer in enumerate(spec.layers):
        _check_layer(layer, inputs, last=position == len(spec.layers) - 1)
        connection = connection_of(layer)
        check_connection(layer.name, connection, inputs, layer.neurons, shape)
        inputs, shape = layer.neurons, output_shape(connection)
    if inputs != len(spec.labels):
        raise NetworkError(f"{inputs} outputs, but {len(spec.labels)} labels; give one each")


def _check_layer(layer: LayerSpec, inputs: int, *, last: bool) -> None:
    if layer.inputs != inputs:
        raise NetworkError(f"{layer.name} has {layer.inputs} inputs, the layer before it {inputs}")
    neuron = neuron_named(layer.neuron)
    if neuron.spiking == last:
        wanted = "a readout neuron that does not spike" if last else "a spiking neuron"
        raise NetworkError(f"{layer.name} is {layer.neuron}, expected {wanted}")
    source = source_coefficients(neuron, layer_of(layer).parameters)
    if source.neurons != layer.neurons:
        raise NetworkError(
            f"{layer.name} has {layer.neurons} neurons and {source.neurons} values a parameter"
        )
    norm = norm_of(layer)
    for name in ("mean", "variance", "weight", "bias"):
        values = getattr(norm, name)
        if values.shape != (layer.neurons,) or not np.isfinite(values).all():
            raise NetworkError(f"{layer.name}: norm.{name} is not {layer.neurons} finite numbers")
    if (norm.variance + norm.epsilon <= 0.0).any():
        raise NetworkError(f"{layer.name}: norm.variance + norm.epsilon must be positive")
