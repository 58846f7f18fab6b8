"""The layers that a preset asks for, before they have parameters."""

from math import prod

from retempo.exporters.connections import (
    DENSE,
    Connection,
    Conv2dSpec,
    DenseSpec,
    Grid,
    PoolSpec,
    check_connection,
    output_shape,
)
from retempo.exporters.description import InputSpec
from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons import neuron_named
from retempo.training.config import NetworkConfig, parameter_ranges
from retempo.training.errors import TrainingError
from retempo.training.network import LayerShape, layer_shapes

# Half of what a protobuf, and so an ONNX file, can hold.
MOST_RECURRENCE_BYTES = 1 << 30


def planned_layers(config: NetworkConfig, spec: InputSpec, labels: int) -> list[LayerShape]:
    """Return the layers of `[network]`: convolutions, dense ones, the readout.

    Raises:
        TrainingError: a convolution or a pool does not fit the sensor or the layer before it, or a
            recurrent map is too large.
    """
    shapes = []
    first: Connection = DENSE
    inputs = spec.size
    if config.conv or config.pool > 1:
        grid = _sensor_grid(spec)
        for position, layer in enumerate(config.conv):
            pool = PoolSpec(layer.pool, layer.pooling) if layer.pool > 1 else None
            connection = Conv2dSpec(
                grid, layer.channels, layer.kernel, layer.stride, layer.padding, pool
            )
            name = f"conv{position + 1}"
            grid = _checked(name, connection) or grid
            neuron = neuron_named(layer.neuron or config.neuron)
            ranges = parameter_ranges(config, layer.neuron)
            shape = LayerShape(name, neuron, inputs, prod(grid), ranges, connection=connection)
            _refuse_large_recurrence(shape)
            shapes.append(shape)
            inputs = shape.neurons
        if config.pool > 1:
            first = DenseSpec(grid, PoolSpec(config.pool, config.pooling))
            _checked("hidden1", first)
    neuron, ranges = neuron_named(config.neuron), parameter_ranges(config)
    return shapes + layer_shapes(neuron, inputs, config.hidden, labels, ranges, first)


def _refuse_large_recurrence(shape: LayerShape) -> None:
    taken = 4 * shape.neurons**2
    if shape.neuron.recurrent and taken > MOST_RECURRENCE_BYTES:
        raise TrainingError(
            f"[network] {shape.name} is {shape.neuron.name} with {shape.neurons:,} neurons, whose "
            f"V takes {taken / 2**30:.1f} GiB, expected at most "
            f"{MOST_RECURRENCE_BYTES / 2**30:.1f} GiB; take a neuron without recurrence, or raise "
            "its stride or pool"
        )


def _sensor_grid(spec: InputSpec) -> Grid:
    if spec.shape is None:
        raise TrainingError(
            "[network] conv and pool read a grid, but this data is of a channel sensor; "
            "leave them out"
        )
    return spec.shape


def _checked(name: str, connection: Connection) -> Grid | None:
    """Check what the types of a preset cannot say; returns the grid that the layer hands on."""
    after = output_shape(connection)
    inputs, neurons = prod(connection.shape or ()), prod(after or ())
    try:
        check_connection(name, connection, inputs, neurons, connection.shape)
    except NetworkError as error:
        raise TrainingError(f"[network] {error}") from error
    return after
