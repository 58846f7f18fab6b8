"""Nonlinear neurons: each method against the raw equation, integrated in steps of 1 us."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retempo.exporters.adaptation import METHODS, Layer
from retempo.exporters.adaptation.powers import apply
from retempo.exporters.errors import NetworkError, UnfitError
from retempo.exporters.neurons import NEURONS, source_coefficients
from retempo.exporters.neurons.general import Array
from retempo.exporters.neurons.ode import euler_step, exact_step, rate
from retempo.exporters.resolution import resolve
from tests.builders import NONLINEAR, make_network, make_parameters, nonlinear_names, seeds
from tests.exporters.raw_equations import integrate

CELLS = 16
SOURCE_STEPS = 100
EQUATIONS = ["adex", "izhikevich"]
SOURCES_US = [1_000, 10_000]


def run(
    layer: Layer, method: str, dt_us: int, target_us: int, current: Array, count: int
) -> tuple[Array, Array]:
    """Return the membrane and the spikes so far, `(count, neurons)`, after each target bin.

    Feedback of one step ago, without the lag of `lag` and `substep`.
    """
    schedule = METHODS[method].schedule_of(dt_us, target_us, linear=False)
    c = METHODS[method].adapt(layer, target_us / (dt_us * schedule.substeps))
    upswing = layer.neuron.upswing
    assert upswing is not None
    assert c.N is not None
    v, spiked = np.zeros((c.variables, c.neurons)), np.zeros(c.neurons)
    total = np.zeros(c.neurons)
    membranes, spikes = [], []
    for _ in range(count):
        for _ in range(schedule.substeps):
            raised = upswing.value(np.clip(v[0], 0.0, 1.0))
            v = apply(c.A, v) + c.R * spiked + c.F * current + c.N * raised
            spiked = (v[0] > 1.0).astype(np.float64)
            total = total + spiked
        membranes.append(v[0])
        spikes.append(total)
    return np.array(membranes), np.array(spikes)


@cache
def case(neuron: str, dt_us: int, low: float, high: float) -> tuple[Layer, Array, Array, Array]:
    """A layer, its input and the raw equation's membranes and spikes, 20 times a source step."""
    rng = np.random.default_rng(dt_us)
    parameters = make_parameters(neuron, CELLS, rng, stable=True)
    current = rng.uniform(low, high, CELLS)
    count = 20 * SOURCE_STEPS
    membranes, spikes = integrate(neuron, parameters, dt_us, current, dt_us // 20, count)
    return Layer("layer0", NEURONS[neuron], parameters), current, membranes, spikes


def quiet_error(neuron: str, dt_us: int, method: str, rho: float) -> float:
    """The largest error of a membrane that does not reach the threshold."""
    layer, current, exact, spikes = case(neuron, dt_us, 0.02, 0.12)
    assert not spikes.any()
    count = int(SOURCE_STEPS / rho)
    ours, _ = run(layer, method, dt_us, round(rho * dt_us), current, count)
    every = round(20 * rho)
    return float(np.abs(ours - exact[every - 1 :: every][:count]).max())


def spike_error(neuron: str, dt_us: int, method: str, rho: float) -> tuple[float, float]:
    """The error of the spike count, relative, and of the first spike's time, in source steps."""
    layer, current, _, exact = case(neuron, dt_us, 1.0, 3.0)
    assert exact[-1].all()
    count = int(SOURCE_STEPS / rho)
    _, ours = run(layer, method, dt_us, round(rho * dt_us), current, count)
    first = (1 + (ours > 0).argmax(axis=0)) * rho
    exact_first = (1 + (exact > 0).argmax(axis=0)) / 20
    counts = abs(ours[-1].sum() - exact[-1].sum()) / exact[-1].sum()
    return float(counts), float(np.abs(first - exact_first).mean())


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
@pytest.mark.parametrize("method", ["integral", "expectation", "impulse", "tau"])
def test_below_the_threshold_the_error_is_of_first_order_in_the_step(
    neuron: str, dt_us: int, method: str
) -> None:
    errors = {rho: quiet_error(neuron, dt_us, method, rho) for rho in (0.05, 0.1, 0.4, 1.0)}
    assert errors[1.0] < 2e-3
    assert errors[0.05] < 1e-4
    for fine, coarse in ((0.05, 0.1), (0.1, 0.4), (0.4, 1.0)):
        assert errors[fine] / errors[coarse] == pytest.approx(fine / coarse, rel=0.1)


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
@pytest.mark.parametrize("method", ["integral", "expectation", "impulse"])
@pytest.mark.parametrize("rho", [2.0, 2.5, 5.0])
def test_a_coarse_bin_is_as_accurate_as_the_source(
    neuron: str, dt_us: int, method: str, rho: float
) -> None:
    """Its inner steps are no longer than the source's."""
    error = quiet_error(neuron, dt_us, method, rho)
    assert error <= 1.01 * quiet_error(neuron, dt_us, method, 1.0)


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
@pytest.mark.parametrize("rho", [0.05, 0.1, 0.25, 0.4, 2.0, 5.0])
def test_integral_is_far_better_than_euler_and_no_adaptation(
    neuron: str, dt_us: int, rho: float
) -> None:
    integral, euler, none = (
        quiet_error(neuron, dt_us, method, rho) for method in ("integral", "euler", "none")
    )
    assert 3.0 * integral < euler
    assert 20.0 * integral < none


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
def test_euler_is_of_first_order_in_the_step(neuron: str, dt_us: int) -> None:
    fine, coarse = (quiet_error(neuron, dt_us, "euler", rho) for rho in (0.05, 0.4))
    assert fine / coarse == pytest.approx(0.05 / 0.4, rel=0.15)


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
@pytest.mark.parametrize("method", ["impulse", "tau"])
def test_spikes_become_those_of_the_equation(neuron: str, dt_us: int, method: str) -> None:
    fine_count, fine_time = spike_error(neuron, dt_us, method, 0.05)
    coarse_count, coarse_time = spike_error(neuron, dt_us, method, 1.0)
    assert fine_count < 0.02
    assert coarse_count < 0.15
    assert fine_time < 0.1
    assert fine_time < 0.25 * coarse_time


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("dt_us", SOURCES_US)
@pytest.mark.parametrize("rho", [2.0, 2.5, 5.0])
def test_coarse_bins_have_the_spikes_of_the_source(neuron: str, dt_us: int, rho: float) -> None:
    counts, home = (spike_error(neuron, dt_us, "impulse", ratio)[0] for ratio in (rho, 1.0))
    assert counts == pytest.approx(home, abs=0.03)


@pytest.mark.parametrize("neuron", EQUATIONS)
@pytest.mark.parametrize("rho", [0.05, 0.25])
def test_a_held_reset_makes_a_spike_worth_a_part_of_one(neuron: str, rho: float) -> None:
    """By `integral` a spike of a fine step resets by about rho of the jump, so they are more."""
    assert spike_error(neuron, 1_000, "integral", rho)[0] + 1.0 == pytest.approx(1 / rho, rel=0.2)


@pytest.mark.parametrize("neuron", EQUATIONS)
def test_without_adaptation_spikes_are_many_times_too_many(neuron: str) -> None:
    assert spike_error(neuron, 1_000, "none", 0.1)[0] > 3.0


@settings(max_examples=40)
@given(st.sampled_from(EQUATIONS), seeds, st.integers(20, 3_000), st.floats(0.0, 0.15))
def test_any_neuron_at_any_ratio_follows_its_equation(
    neuron: str, seed: int, target_us: int, strength: float
) -> None:
    rng = np.random.default_rng(seed)
    parameters = make_parameters(neuron, 4, rng)
    layer = Layer("layer0", NEURONS[neuron], parameters)
    current = strength * rng.uniform(-1.0, 1.0, 4)
    count = -(-60_000 // target_us)
    exact, spikes = integrate(neuron, parameters, 1_000, current, target_us, count)
    assume(not spikes.any() and float(exact.max()) < 0.3)  # beside the unstable rest
    ours, _ = run(layer, "integral", 1_000, target_us, current, count)
    step = min(1.0, target_us / 1_000)
    np.testing.assert_allclose(ours, exact, atol=0.01 * step)


@given(nonlinear_names, seeds, st.floats(0.01, 20.0))
def test_tau_and_impulse_of_an_equation_are_one(neuron: str, seed: int, rho: float) -> None:
    """Both are its exact step; they differ in the charge of a recurrent spike alone."""
    parameters = make_parameters(neuron, CELLS, np.random.default_rng(seed))
    layer = Layer("layer0", NEURONS[neuron], parameters)
    tau, impulse = (METHODS[name].adapt(layer, rho) for name in ("tau", "impulse"))
    for name in "ARFN":
        np.testing.assert_allclose(
            getattr(tau, name), getattr(impulse, name), rtol=1e-7, atol=1e-9, err_msg=name
        )


@given(nonlinear_names, seeds)
def test_the_exact_step_is_many_small_steps_of_euler(neuron: str, seed: int) -> None:
    parameters = make_parameters(neuron, CELLS, np.random.default_rng(seed))
    ode = NEURONS[neuron].ode
    assert ode is not None
    whole, part = exact_step(ode(parameters)), euler_step(ode(parameters), 2.0**-24)
    fine = np.array([[np.broadcast_to(e, CELLS) for e in row] for row in part.A])
    for _ in range(24):
        fine = np.einsum("ijn,jkn->ikn", fine, fine)
    np.testing.assert_allclose(np.array(whole.A), fine, atol=1e-7)


@pytest.mark.parametrize("neuron", NONLINEAR)
def test_an_upswing_is_zero_at_rest_and_its_slope_is_its_derivative(neuron: str) -> None:
    upswing = NEURONS[neuron].upswing
    assert upswing is not None
    x = np.linspace(0.0, 1.0, 101)
    assert abs(upswing.value(0.0)) < 1e-15
    assert abs(upswing.slope(0.0)) < 1e-15
    difference = (upswing.value(x + 1e-6) - upswing.value(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(upswing.slope(x), difference, atol=1e-8)


def test_a_rate_is_that_of_the_decay() -> None:
    np.testing.assert_allclose(rate(np.array([math.exp(-0.2), 1.0])), [0.2, 0.0], atol=1e-15)


@pytest.mark.parametrize("method", ["integral", "expectation", "impulse"])
@pytest.mark.parametrize(
    ("target_us", "substeps"), [(1_000, 1), (10_000, 1), (10_001, 2), (25_000, 3), (40_000, 4)]
)
def test_no_step_of_a_nonlinear_network_is_longer_than_the_sources(
    method: str, target_us: int, substeps: int
) -> None:
    nonlinear, linear = (
        resolve(make_network(neuron).spec, target_us, method) for neuron in ("adex", "radlif")
    )
    assert (nonlinear.substeps, linear.substeps) == (substeps, 1)
    assert nonlinear.lag == linear.lag == 1.0


def test_a_bin_of_too_many_inner_steps_is_refused() -> None:
    with pytest.raises(UnfitError, match=r"stepped 10,001 times a bin of 100010000 us"):
        resolve(make_network("adex").spec, 100_010_000, "integral")


def test_a_decay_that_is_none_is_refused() -> None:
    parameters = {name: np.full(3, 0.9) for name in NEURONS["adex"].parameters}
    parameters["beta"] = np.array([0.9, 0.0, 0.9])
    with pytest.raises(NetworkError, match=r"parameter beta of a adex layer is 0; a decay"):
        source_coefficients(NEURONS["adex"], parameters)
