"""How a layer's input becomes its current: dense or convolutional, pooled before if wished.

Tensors travel between layers as `(batch, channels * rows * columns)`, row-major, the order in which
the binning lays out a grid sensor; so nothing but the connection knows of a grid. Each connection
is here in NumPy and as ONNX nodes; `retempo.training.connections` has them in torch.
"""

from collections.abc import Mapping
from math import prod
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from retempo.exporters.errors import NetworkError

Float = NDArray[np.floating]

# (channels, rows, columns) of what a layer reads or hands on.
Grid = tuple[int, int, int]

# A bound on what a mistyped stride or kernel can ask for: 64 channels of 32 x 32 are as many.
MOST_NEURONS = 65_536


class PoolSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pooling of a layer's input by windows of `window` x `window` that do not overlap.

    Rows and columns at the end that fill no window are not read.
    """

    window: int
    kind: Literal["average", "max"] = "average"


class DenseSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="dense", tag_field="kind"
):
    """Every input to every neuron; `shape`, the grid of the input, is needed to pool alone."""

    shape: Grid | None = None
    pool: PoolSpec | None = None


class Conv2dSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="conv2d", tag_field="kind"
):
    """A convolution of the input, a grid of `shape`, after its pooling; zeros pad every side.

    Its map has `channels` channels of `(side + 2 padding - kernel) // stride + 1` a side; every
    point of it is a neuron.
    """

    shape: Grid
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: PoolSpec | None = None


Connection = DenseSpec | Conv2dSpec
DENSE = DenseSpec()


class Nodes(Protocol):
    """What an ONNX graph under construction offers a connection."""

    def node(
        self, operator: str, inputs: list[str], output: str, **attributes: int | list[int]
    ) -> None:
        """Add a node of one output."""

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant; returns its name."""


def pooled_shape(connection: Connection) -> Grid | None:
    """Return the grid after pooling, None for a dense connection that knows of none."""
    if connection.shape is None or connection.pool is None:
        return connection.shape
    channels, rows, columns = connection.shape
    window = connection.pool.window
    return channels, rows // window, columns // window


def output_shape(connection: Connection) -> Grid | None:
    """Return the grid that the layer hands on, None where its neurons stand on none."""
    if isinstance(connection, DenseSpec):
        return None
    _, rows, columns = pooled_shape(connection) or connection.shape
    sides = (
        (side + 2 * connection.padding - connection.kernel) // connection.stride + 1
        for side in (rows, columns)
    )
    return connection.channels, *sides  # type: ignore[return-value]  # two sides


def positions(connection: Connection) -> int:
    """Return how many neurons share each set of trained parameters: the points of a map, or 1."""
    shape = output_shape(connection)
    return 1 if shape is None else shape[1] * shape[2]


def weight_shape(connection: Connection, inputs: int, neurons: int) -> tuple[int, ...]:
    """Return the shape of `<layer>.W`.

    `(inputs, neurons)`, after pooling, or `(channels out, channels in, kernel, kernel)`.
    """
    if isinstance(connection, Conv2dSpec):
        kernel = connection.kernel
        return connection.channels, connection.shape[0], kernel, kernel
    return prod(pooled_shape(connection) or (inputs,)), neurons


def check_connection(
    name: str, connection: Connection, inputs: int, neurons: int, before: Grid | None
) -> None:
    """Check a connection against the layers round it.

    Args:
        name: the layer's, for messages.
        connection: what to check.
        inputs: how many inputs the layer has.
        neurons: how many neurons the layer has.
        before: the grid that the sensor or the layer before hands on, None where it has none.

    Raises:
        NetworkError: it does not fit; the text says what it is and what was expected.
    """
    shape, pool = connection.shape, connection.pool
    if shape is None:
        if pool is not None:
            raise NetworkError(f"{name} pools an input whose shape it does not say; give the shape")
        return
    if min(shape) < 1 or prod(shape) != inputs:
        raise NetworkError(f"{name} reads a grid of {_text(shape)}, but has {inputs} inputs")
    if before is not None and shape != before:
        raise NetworkError(
            f"{name} reads a grid of {_text(shape)} (channels, rows, columns), but is fed one of "
            f"{_text(before)}"
        )
    if pool is not None and not 1 <= pool.window <= min(shape[1:]):
        raise NetworkError(
            f"{name} pools by {pool.window}, expected 1 to {min(shape[1:])}, the shorter side of "
            f"its input of {_text(shape)}"
        )
    if isinstance(connection, Conv2dSpec):
        _check_convolution(name, connection, neurons)


def _check_convolution(name: str, conv: Conv2dSpec, neurons: int) -> None:
    for key in ("channels", "kernel", "stride"):
        if getattr(conv, key) < 1:
            raise NetworkError(f"{name}: {key} is {getattr(conv, key)}, expected at least 1")
    if not 0 <= conv.padding < conv.kernel:
        raise NetworkError(
            f"{name}: padding is {conv.padding}, expected 0 to {conv.kernel - 1}, less than the "
            "kernel: windows beyond it see nothing but zeros"
        )
    grid = pooled_shape(conv) or conv.shape
    if conv.kernel > min(grid[1:]) + 2 * conv.padding:
        raise NetworkError(
            f"{name}: the kernel is {conv.kernel}, its input of {_text(grid)} with padding "
            f"{conv.padding} has room for {min(grid[1:]) + 2 * conv.padding}"
        )
    shape = output_shape(conv) or grid
    if prod(shape) > MOST_NEURONS:
        raise NetworkError(
            f"{name} has a map of {_text(shape)}, {prod(shape):,} neurons, expected at most "
            f"{MOST_NEURONS:,}; raise its stride or pool, or take fewer channels"
        )
    if prod(shape) != neurons:
        raise NetworkError(
            f"{name} has {neurons} neurons, its convolution a map of {_text(shape)}: {prod(shape)}"
        )


def product(connection: Connection, W: Float, x: Float) -> Float:
    """Return `W in`, the current before gain and bias, in NumPy.

    Shapes: `W` as `weight_shape`; `x` `(batch, inputs)`; the result `(batch, neurons)`.
    """
    if connection.shape is not None:
        x = x.reshape(len(x), *connection.shape)
    if connection.pool is not None:
        window = connection.pool.window
        tiles = sliding_window_view(x, (window, window), (2, 3))[:, :, ::window, ::window]
        x = tiles.max((4, 5)) if connection.pool.kind == "max" else tiles.mean((4, 5))
    if isinstance(connection, DenseSpec):
        return x.reshape(len(x), len(W)) @ W
    edge = (connection.padding, connection.padding)
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge))
    patches = sliding_window_view(padded, W.shape[2:], (2, 3))
    patches = patches[:, :, :: connection.stride, :: connection.stride]
    map_ = np.tensordot(patches, W, ((1, 4, 5), (1, 2, 3)))
    return np.moveaxis(map_, 3, 1).reshape(len(x), prod(map_.shape[1:]))


def add_product(graph: Nodes, name: str, connection: Connection, W: str, signal: str) -> str:
    """Add the nodes of `W in` to a graph; returns the name of the product, `(batch, neurons)`."""
    result = f"{name}.product"
    pool = connection.pool
    if connection.shape is not None:
        # 0 takes the batch as it comes.
        shape = graph.constant(f"{name}.shape", np.array([0, *connection.shape], np.int64))
        graph.node("Reshape", [signal, shape], f"{name}.grid")
        signal = f"{name}.grid"
    if pool is not None:
        operator = "MaxPool" if pool.kind == "max" else "AveragePool"
        sides = [pool.window, pool.window]
        graph.node(operator, [signal], f"{name}.pooled", kernel_shape=sides, strides=sides)
        signal = f"{name}.pooled"
    if isinstance(connection, Conv2dSpec):
        attributes: Mapping[str, list[int]] = {
            "kernel_shape": [connection.kernel] * 2,
            "strides": [connection.stride] * 2,
            "pads": [connection.padding] * 4,
        }
        graph.node("Conv", [signal, W], f"{name}.map", **attributes)
        graph.node("Flatten", [f"{name}.map"], result, axis=1)
        return result
    if connection.shape is not None:
        graph.node("Flatten", [signal], f"{name}.flat", axis=1)
        signal = f"{name}.flat"
    graph.node("MatMul", [signal, W], result)
    return result


def describe(connection: Connection) -> str:
    """Return the connection in a few words to stand after a layer's sizes; none for dense."""
    words = []
    if connection.pool is not None:
        words.append(f"{connection.pool.kind} pool {connection.pool.window}")
    if isinstance(connection, Conv2dSpec):
        words.append(
            f"conv {connection.channels}x{connection.kernel}x{connection.kernel} "
            f"stride {connection.stride} padding {connection.padding}"
        )
    return f" ({', '.join(words)})" if words else ""


def _text(shape: Grid) -> str:
    return "x".join(map(str, shape))
