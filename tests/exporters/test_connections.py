"""Convolutions and pools: NumPy and ONNX against sums written out, and what does not fit."""

from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from retempo.exporters.connections import (
    DENSE,
    Connection,
    Conv2dSpec,
    DenseSpec,
    Grid,
    PoolSpec,
    check_connection,
    describe,
    output_shape,
    product,
    weight_shape,
)
from retempo.exporters.description import GridSpec, InputSpec, LayerSpec, connection_of
from retempo.exporters.errors import ContractError, NetworkError
from retempo.exporters.network import Network, check, load_network, save_network
from retempo.exporters.resolution import note_of, resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from tests.builders import make_network, seeds
from tests.conv_builders import conv_networks, make_conv_network

Array = NDArray[np.float64]


def pooled(x: Array, pool: PoolSpec) -> Array:
    """A grid of `(channels, rows, columns)`, pooled window by window."""
    n = pool.window
    channels, rows, columns = x.shape
    out = np.zeros((channels, rows // n, columns // n))
    for row in range(rows // n):
        for column in range(columns // n):
            tile = x[:, row * n : (row + 1) * n, column * n : (column + 1) * n]
            out[:, row, column] = tile.max((1, 2)) if pool.kind == "max" else tile.mean((1, 2))
    return out


def convolved(x: Array, W: Array, conv: Conv2dSpec) -> Array:
    """A grid of `(channels, rows, columns)`, convolved neuron by neuron."""
    shape = output_shape(conv)
    assert shape is not None
    edge = conv.padding
    room = np.zeros((x.shape[0], x.shape[1] + 2 * edge, x.shape[2] + 2 * edge))
    room[:, edge : edge + x.shape[1], edge : edge + x.shape[2]] = x
    out = np.zeros(shape)
    for channel, row, column in np.ndindex(*shape):
        top, left = row * conv.stride, column * conv.stride
        patch = room[:, top : top + conv.kernel, left : left + conv.kernel]
        out[channel, row, column] = (patch * W[channel]).sum()
    return out


def by_hand(connection: Connection, W: Array, x: Array) -> Array:
    rows = []
    for row in x:
        grid = row if connection.shape is None else row.reshape(connection.shape)
        if connection.pool is not None:
            grid = pooled(grid, connection.pool)
        if isinstance(connection, Conv2dSpec):
            rows.append(convolved(grid, W, connection).ravel())
        else:
            rows.append(grid.ravel() @ W)
    return np.stack(rows)


@settings(max_examples=50)
@given(conv_networks, seeds)
def test_a_product_is_the_sum_over_its_window(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for layer in network.spec.layers:
        connection = connection_of(layer)
        W = network.weights[f"{layer.name}.W"].astype(np.float64)
        x = rng.normal(size=(3, layer.inputs))
        ours = product(connection, W, x)
        assert ours.shape == (3, layer.neurons)
        np.testing.assert_allclose(ours, by_hand(connection, W, x), rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("connection", [DenseSpec(), Conv2dSpec((2, 3, 3), channels=4, kernel=2)])
def test_a_product_of_no_rows_has_no_rows(connection: Connection) -> None:
    W = np.ones(weight_shape(connection, 18, 16), np.float32)
    assert product(connection, W, np.zeros((0, 18), np.float32)).shape == (0, 16)


def test_a_grid_sensor_is_laid_out_as_a_convolution_reads_it() -> None:
    """Channel p, row y, column x of the convolution is input `(p * rows + y) * columns + x`."""
    spec = InputSpec(GridSpec(5, 3, 2))
    assert spec.shape == (2, 3, 5)
    conv = Conv2dSpec((2, 3, 5), channels=1, kernel=1)
    x = np.zeros((1, spec.size))
    x[0, (1 * 3 + 2) * 5 + 4] = 7.0
    W = np.array([[[[0.0]], [[1.0]]]])
    assert product(conv, W, x).reshape(3, 5)[2, 4] == 7.0
    assert InputSpec(GridSpec(5, 3, 2), downsample=2).shape == (2, 2, 3)


def test_a_pool_leaves_out_the_end_that_fills_no_window() -> None:
    pool = DenseSpec((1, 3, 5), PoolSpec(2))
    assert weight_shape(pool, 15, 2) == (2, 2)
    x = np.arange(15.0).reshape(1, 15)
    np.testing.assert_array_equal(product(pool, np.eye(2), x), [[3.0, 5.0]])


CONV = Conv2dSpec((2, 6, 5), channels=3, kernel=3, padding=1)


@pytest.mark.parametrize(
    ("connection", "neurons", "message"),
    [
        (
            Conv2dSpec((2, 6, 5), 3, kernel=6),
            90,
            "a: the kernel is 6, its input of 2x6x5 with padding 0 has room for 5",
        ),
        (
            Conv2dSpec((2, 6, 5), 3, kernel=3, pool=PoolSpec(2)),
            90,
            "a: the kernel is 3, its input of 2x3x2 with padding 0 has room for 2",
        ),
        (
            Conv2dSpec((1, 6, 5), 3, 3, padding=1),
            90,
            "a reads a grid of 1x6x5, but has 60 inputs",
        ),
        (
            Conv2dSpec((2, 5, 6), 3, 3, padding=1),
            90,
            r"a reads a grid of 2x5x6 \(channels, rows, columns\), but is fed one of 2x6x5",
        ),
        (CONV, 80, "a has 80 neurons, its convolution a map of 3x6x5: 90"),
        (Conv2dSpec((2, 6, 5), 3, 3, padding=3), 90, "padding is 3, expected 0 to 2"),
        (Conv2dSpec((2, 6, 5), 3, 3, padding=-1), 90, "padding is -1, expected 0 to 2"),
        (Conv2dSpec((2, 6, 5), 0, 3), 90, "a: channels is 0, expected at least 1"),
        (Conv2dSpec((2, 6, 5), 3, 3, stride=0), 90, "a: stride is 0, expected at least 1"),
        (
            Conv2dSpec((2, 6, 5), 10_000, 3, padding=1),
            90,
            "a has a map of 10000x6x5, 300,000 neurons, expected at most 65,536",
        ),
        (DenseSpec((2, 6, 5), PoolSpec(6)), 4, "a pools by 6, expected 1 to 5, the shorter side"),
        (DenseSpec((2, 6, 5), PoolSpec(0)), 4, "a pools by 0, expected 1 to 5"),
        (DenseSpec(pool=PoolSpec(2)), 4, "a pools an input whose shape it does not say"),
        (DenseSpec((0, 6, 5)), 4, "a reads a grid of 0x6x5, but has 60 inputs"),
    ],
)
def test_a_connection_that_does_not_fit_is_refused(
    connection: Connection, neurons: int, message: str
) -> None:
    before: Grid = (2, 6, 5)
    with pytest.raises(NetworkError, match=message):
        check_connection("a", connection, 60, neurons, before)


def test_a_network_of_dense_layers_is_described_as_it_always_was() -> None:
    network = make_network()
    assert b"connection" not in msgspec.json.encode(network.spec)
    layer = network.spec.layers[0]
    table = msgspec.to_builtins(layer)
    assert connection_of(msgspec.convert(table, LayerSpec)) == DENSE
    table["connection"] = {"kind": "dense"}
    assert connection_of(msgspec.convert(table, LayerSpec)) == DENSE


@settings(max_examples=15)
@given(conv_networks)
def test_a_checkpoint_and_a_model_keep_their_connections(
    tmp_path_factory: pytest.TempPathFactory, network: Network
) -> None:
    run = tmp_path_factory.mktemp("run")
    save_network(network, run)
    assert load_network(run).spec == network.spec
    for dt_us, method in ((1_000, "lag"), (25_000, "substep")):
        resolution = resolve(network.spec, dt_us, method)
        content = build_step(network, resolution).SerializeToString()
        assert parse_step(content, "m.onnx").contract.network == network.spec


def test_weights_of_another_shape_are_refused() -> None:
    network = make_conv_network()
    name = "layer0.W"
    flat = network.weights[name].reshape(len(network.weights[name]), -1)
    with pytest.raises(NetworkError, match=r"layer0\.W is float32 \(3, 18\), expected float32 \(3"):
        check(Network(network.spec, {**network.weights, name: flat}))


def test_a_graph_whose_weights_are_not_those_of_its_contract_is_refused() -> None:
    network = make_conv_network()
    model = build_step(network, resolve(network.spec, 1_000, "lag"))
    W = next(tensor for tensor in model.graph.initializer if tensor.name == "layer0.W")
    W.dims[:] = [2, 3, 3, 3]
    with pytest.raises(
        ContractError, match=r"layer0\.W has the shape \(2, 3, 3, 3\), its contract"
    ):
        parse_step(model.SerializeToString(), "m.onnx")
    W.name = "other"
    with pytest.raises(ContractError, match=r"layer0\.W is missing, its contract says \(3, 2, 3"):
        parse_step(model.SerializeToString(), "m.onnx")


def test_the_norm_that_the_sensor_feeds_moves_in_a_convolution_too() -> None:
    network = make_conv_network()
    home, fine = (resolve(network.spec, dt_us, "integral") for dt_us in (10_000, 1_000))
    np.testing.assert_allclose(fine.layers[0].gain, 10.0 * home.layers[0].gain, rtol=1e-9)
    np.testing.assert_allclose(fine.layers[1].gain, home.layers[1].gain)
    assert fine.layers[0].gain.shape == (network.spec.layers[0].neurons,)


@pytest.mark.parametrize(("kind", "noted"), [("max", True), ("average", False)])
def test_a_maximum_of_the_sensors_counts_is_noted_where_the_time_step_changes(
    kind: Literal["max", "average"], noted: bool
) -> None:
    pooled = Conv2dSpec((2, 7, 6), channels=3, kernel=2, pool=PoolSpec(2, kind))
    spec = make_conv_network(connections=(pooled,)).spec
    note = note_of(spec, resolve(spec, 2_500, "lag"))
    assert ("pooled by max" in str(note)) == noted
    assert note_of(spec, resolve(spec, 10_000, "lag")) is None
    assert note_of(spec, resolve(spec, 2_500, "lag", "none")) is None


def test_a_convolution_and_a_pool_are_nodes_of_the_graph() -> None:
    """Not a matrix unrolled, which would be as large as the map is."""
    network = make_conv_network()
    model = build_step(network, resolve(network.spec, 10_000, "none"))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Conv") == 2
    assert operators.count("MaxPool") == 1
    assert [describe(connection_of(layer)) for layer in network.spec.layers] == [
        " (conv 3x3x3 stride 2 padding 1)",
        " (max pool 2, conv 4x2x2 stride 1 padding 1)",
        "",
        "",
    ]
