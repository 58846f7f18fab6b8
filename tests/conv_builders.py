"""Random networks with convolutions and pools for tests."""

from math import prod

import msgspec
import numpy as np
from hypothesis import strategies as st

from retempo.exporters.connections import (
    Connection,
    Conv2dSpec,
    DenseSpec,
    PoolSpec,
    output_shape,
    positions,
)
from retempo.exporters.description import (
    DESCRIPTION_VERSION,
    GridSpec,
    InputSpec,
    LayerSpec,
    NetworkSpec,
    NormSpec,
)
from retempo.exporters.network import Network, weight_shapes
from tests.builders import make_layer, neuron_names, seeds

GRID = GridSpec(6, 7, 2)
DEFAULT = (
    Conv2dSpec((2, 7, 6), channels=3, kernel=3, stride=2, padding=1),
    Conv2dSpec((3, 4, 3), channels=4, kernel=2, padding=1, pool=PoolSpec(2, "max")),
)


def make_conv_network(
    neuron: str = "radlif",
    connections: tuple[Conv2dSpec, ...] = DEFAULT,
    pool: PoolSpec | None = None,
    grid: GridSpec = GRID,
    seed: int = 0,
) -> Network:
    """Draw convolutions, a dense layer and a readout, stable, without self-connections.

    The neurons of a map share their channel's parameters, as trained networks' do.
    """
    rng = np.random.default_rng(seed)
    inputs = InputSpec(grid)
    size, shape = inputs.size, inputs.shape
    layers: list[LayerSpec] = []
    dense = DenseSpec(output_shape(connections[-1]) if connections else shape, pool)
    last: Connection = dense if pool is not None else DenseSpec()
    for position, connection in enumerate([*connections, last]):
        neurons = prod(output_shape(connection) or (9,))
        points = positions(connection)
        name = f"layer{position}"
        layer = make_layer(name, neuron, size, neurons // points, rng, stable=True)
        layers.append(
            msgspec.structs.replace(
                layer,
                neurons=neurons,
                parameters={k: _spread(v, points) for k, v in layer.parameters.items()},
                norm=_spread_norm(layer.norm, points),
                connection=msgspec.UNSET if connection == DenseSpec() else connection,
            )
        )
        size = neurons
    layers.append(make_layer("readout", "leaky_readout", size, 4, rng))
    spec = NetworkSpec(
        DESCRIPTION_VERSION, 10_000, inputs, layers, [f"class {k}" for k in range(4)]
    )
    weights = {}
    for name, sides in weight_shapes(spec).items():
        fan_in = sides[0] if len(sides) == 2 else prod(sides[1:])
        weights[name] = (rng.normal(size=sides) / np.sqrt(fan_in * 0.2)).astype(np.float32)
        if name.endswith(".V"):
            np.fill_diagonal(weights[name], 0.0)
    return Network(spec, weights)


def _spread(values: list[float], points: int) -> list[float]:
    return np.repeat(values, points).tolist()


def _spread_norm(norm: NormSpec | None, points: int) -> NormSpec | None:
    if norm is None:
        return None
    parts = {
        key: _spread(getattr(norm, key), points) for key in ("mean", "variance", "weight", "bias")
    }
    return NormSpec(**parts, epsilon=norm.epsilon)


pools = st.none() | st.builds(PoolSpec, st.integers(1, 3), st.sampled_from(["average", "max"]))


@st.composite
def _conv_networks(draw: st.DrawFn) -> Network:
    grid = GridSpec(draw(st.integers(3, 9)), draw(st.integers(3, 9)), draw(st.integers(1, 2)))
    shape = (grid.polarities, grid.height, grid.width)
    connections = []
    for _ in range(draw(st.integers(0, 2))):
        pool = draw(pools)
        window = 1 if pool is None else min(pool.window, *shape[1:])
        pool = None if pool is None else PoolSpec(window, pool.kind)
        side = min(shape[1:]) // window
        padding = draw(st.integers(0, 2))
        kernel = draw(st.integers(min(padding + 1, side + 2 * padding), min(side + 2 * padding, 4)))
        channels, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        connection = Conv2dSpec(shape, channels, kernel, stride, padding, pool)
        connections.append(connection)
        shape = output_shape(connection) or shape
    pool = draw(pools)
    if pool is not None:
        pool = PoolSpec(min(pool.window, *shape[1:]), pool.kind)
    return make_conv_network(draw(neuron_names), tuple(connections), pool, grid, draw(seeds))


conv_networks = _conv_networks()
