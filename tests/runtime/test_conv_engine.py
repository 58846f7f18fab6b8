"""Every engine against the NumPy reference where layers convolve and pool."""

import numpy as np
import pytest

from retempo.exporters.connections import PoolSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.engines import load_engine
from tests.builders import make_inputs
from tests.conv_builders import make_conv_network
from tests.runtime.test_engines import Reference, engine_at, every_engine


@pytest.mark.parametrize("name", ["onnx", "sparse"])
@pytest.mark.parametrize("neuron", ["lif", "radlif"])
@pytest.mark.parametrize("kind", ["average", "max"])
@pytest.mark.parametrize(
    ("dt_us", "method"),
    [(10_000, "none"), (1_000, "lag"), (2_500, "integral"), (25_000, "substep")],
)
def test_convolutions_spike_alike_at_any_resolution(
    name: str, neuron: str, kind: str, dt_us: int, method: str
) -> None:
    """Until a potential lies within rounding of the threshold, as for dense layers."""
    pool = PoolSpec(2, "max" if kind == "max" else "average")
    network = make_conv_network(neuron, pool=pool, seed=3)
    engine = engine_at(network, dt_us, method, name)
    plain = Reference(network, engine.resolution, 2)
    state = engine.new_state(2)
    spikes, steps = 0.0, 0
    for x in make_inputs(network, 300, 2, seed=4) * np.float32(engine.resolution.substeps):
        state.x[:] = x
        y = engine.step(state)
        expected = plain.step(x)
        saved = engine.save_state(state)
        if any((saved[key][0] != plain.state[key]).any() for key in plain.spike_names):
            assert plain.nearest < 1e-4
            break
        spikes += sum(float(saved[key][0].sum()) for key in plain.spike_names)
        steps += 1
        np.testing.assert_allclose(y, expected, atol=1e-3)
    assert spikes > 20
    assert steps > 20


def test_a_file_of_convolutions_is_moved_to_another_resolution_as_it_is() -> None:
    network = make_conv_network()
    home = parse_step(
        build_step(network, resolve(network.spec, 10_000, "integral")).SerializeToString(), "m.onnx"
    )
    moved = load_engine(home, home.resolution(1_000, "lag"), "onnx")
    direct = engine_at(network, 1_000, "lag")
    a, b = moved.new_state(), direct.new_state()
    for x in make_inputs(network, 100, 1):
        a.x[:] = b.x[:] = x
        np.testing.assert_array_equal(moved.step(a), direct.step(b))


def test_streams_of_a_batch_do_not_touch() -> None:
    network = make_conv_network()
    engine = engine_at(network)
    both, alone = engine.new_state(2), engine.new_state(1)
    for x in make_inputs(network, 50, 2):
        both.x[:], alone.x[:] = x, x[1:]
        np.testing.assert_allclose(engine.step(both)[1:], engine.step(alone), atol=1e-5)


@every_engine
@pytest.mark.parametrize("kind", ["average", "max"])
def test_what_is_no_number_is_seen_behind_a_pool(name: str, kind: str) -> None:
    network = make_conv_network(pool=PoolSpec(2, "max" if kind == "max" else "average"))
    engine = engine_at(network, 10_000, "none", name)
    state = engine.new_state(2)
    state.x[0] = np.nan
    engine.step(state)
    assert engine.finite(state).tolist() == [False, True]
