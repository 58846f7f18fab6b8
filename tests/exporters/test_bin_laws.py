"""How the input of a bin grows with it, against simulated events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from retempo.exporters.bin_laws import input_scale, scale_note
from retempo.exporters.description import BinMode, ChannelSpec, InputSpec
from retempo.exporters.network import Network
from retempo.exporters.reference import step, zero_state
from retempo.exporters.resolution import Resolution, resolve
from tests.builders import make_inputs, make_network, seeds


def input_of(mode: BinMode, occupancy: float | None = None) -> InputSpec:
    return InputSpec(ChannelSpec(30), bin_mode=mode, occupancy=occupancy)


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("mode", ["sum", "mean", "binary"])
def test_the_law_is_that_of_independent_events(mode: BinMode, n: int) -> None:
    """Coarse to fine it is the same law read backwards."""
    p = 0.15
    fine = np.random.default_rng(0).random((400_000, n)) < p
    coarse = {"sum": fine.sum(1), "mean": fine.mean(1), "binary": fine.any(1)}[mode]
    scale = input_scale(input_of(mode, p if mode == "binary" else None), n)
    assert scale.mean == pytest.approx(coarse.mean() / p, rel=0.02)
    assert scale.variance == pytest.approx(coarse.var() / (p * (1 - p)), rel=0.02)
    if mode == "binary":
        back = input_scale(input_of(mode, float(coarse.mean())), 1 / n)
        assert back.mean == pytest.approx(1 / scale.mean, rel=0.02)
        assert back.variance == pytest.approx(1 / scale.variance, rel=0.05)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.01, 100.0))
def test_a_saturating_input_grows_less_than_its_events(p: float, rho: float) -> None:
    scale = input_scale(input_of("binary", p), rho)
    assert np.isfinite(scale).all()
    assert scale.mean <= rho * (1 + 1e-9) if rho >= 1 else scale.mean >= rho * (1 - 1e-9)
    assert scale.mean * p <= 1 + 1e-9
    assert scale == input_scale(input_of("max", p), rho)


def test_nothing_grows_at_the_source() -> None:
    for mode in ("sum", "mean", "binary", "max"):
        assert input_scale(input_of(mode, 0.3), 1.0) == pytest.approx((1.0, 1.0))


def test_a_network_without_occupancy_grows_as_sum_and_says_so() -> None:
    for mode in ("binary", "max"):
        assert input_scale(input_of(mode), 0.1) == (0.1, 0.1)
        assert "moves as that of sum" in str(scale_note(input_of(mode)))
        assert scale_note(input_of(mode, 0.2)) is None
    assert scale_note(input_of("mean")) is None


def network_of(mode: BinMode, occupancy: float | None) -> Network:
    network = make_network(stable=True)
    spec = replace(network.spec.input, bin_mode=mode, occupancy=occupancy)
    return Network(replace(network.spec, input=spec), network.weights)


def first_current(network: Network, resolution: Resolution, x: np.ndarray) -> np.ndarray:
    layer = resolution.layers[0]
    return layer.gain * (x @ network.weights["layer0.W"]) + layer.bias


@given(seeds, st.sampled_from([20_000, 30_000, 2_000]))
def test_a_rate_moves_nothing(seed: int, dt_us: int) -> None:
    """Neither statistics nor the share of an inner step: a rate is a rate at any resolution."""
    network = network_of("mean", None)
    method = "substep" if dt_us > 10_000 else "lag"
    x = np.random.default_rng(seed).random((2, network.spec.input.size))
    home = resolve(network.spec, 10_000, "none")
    np.testing.assert_allclose(
        first_current(network, resolve(network.spec, dt_us, method), x),
        first_current(network, home, x),
        rtol=1e-9,
    )


@pytest.mark.parametrize("rule", ["none", "paper"])
@pytest.mark.parametrize(("mode", "p"), [("sum", None), ("mean", None), ("binary", 0.2)])
def test_each_inner_step_hears_its_share_of_the_bin(
    mode: BinMode, p: float | None, rule: str
) -> None:
    """For a bin that has grown by its law the inner steps are source steps."""
    network = network_of(mode, p)
    x = make_inputs(network, 1, 3)[0].astype(np.float64)
    grown = x * input_scale(network.spec.input, 4.0).mean
    coarse = resolve(network.spec, 40_000, "substep", rule)
    assert coarse.substeps == 4
    home = resolve(network.spec, 10_000, "none")
    state = zero_state(network, 3, np.float64)
    wanted, _ = step(network, home, state, x)
    found, _ = step(network, coarse, state, grown)
    np.testing.assert_allclose(found["layer0.state"], wanted["layer0.state"], rtol=1e-9, atol=1e-12)


def test_without_batch_norm_independent_keeps_the_mean_current() -> None:
    network = make_network()
    first = replace(network.spec.layers[0], norm=None)
    spec = replace(network.spec, layers=[first, *network.spec.layers[1:]])
    np.testing.assert_allclose(resolve(spec, 1_000, "lag", "independent").layers[0].gain, 10.0)
