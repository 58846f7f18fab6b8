"""Every method against simulation of the neuron that it adapts."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retempo.exporters.adaptation import METHODS, Layer, Schedule, method_named
from retempo.exporters.adaptation.powers import apply
from retempo.exporters.errors import AdaptationError, UnfitError
from retempo.exporters.neurons import NEURONS, Coefficients, source_coefficients
from retempo.exporters.neurons.general import Array
from retempo.exporters.resolution import resolve
from tests.builders import linear_names, make_network, make_parameters, neuron_names, seeds

NEURONS_OF_A_LAYER = 16


def draw_layer(neuron: str, seed: int) -> Layer:
    rng = np.random.default_rng(seed)
    return Layer("layer0", NEURONS[neuron], make_parameters(neuron, NEURONS_OF_A_LAYER, rng))


def source(layer: Layer) -> Coefficients:
    return source_coefficients(layer.neuron, layer.parameters)


def groups_of(layer: Layer) -> str:
    return "ARFG" if layer.neuron.upswing is None else "ARFGN"


def run(c: Coefficients, v: Array, current: Array, steps: int) -> Array:
    for _ in range(steps):
        v = apply(c.A, v) + c.F * current
    return v


@given(
    neuron_names, seeds, st.integers(1, 100), st.sampled_from(["integral", "expectation", "lag"])
)
def test_fine_steps_end_where_the_source_step_ends(
    neuron: str, seed: int, fine: int, method: str
) -> None:
    """Constant input, below the threshold."""
    layer = draw_layer(neuron, seed)
    rng = np.random.default_rng(seed + 1)
    coarse = source(layer)
    v = rng.normal(size=(coarse.variables, coarse.neurons))
    current = rng.normal(size=coarse.neurons)
    adapted = METHODS[method].adapt(layer, 1.0 / fine)
    np.testing.assert_allclose(
        run(adapted, v, current, fine), run(coarse, v, current, 1), atol=1e-9
    )


@given(neuron_names, seeds, st.integers(1, 20), st.sampled_from(["integral", "expectation"]))
def test_a_coarse_step_ends_where_the_source_steps_end(
    neuron: str, seed: int, coarse: int, method: str
) -> None:
    layer = draw_layer(neuron, seed)
    rng = np.random.default_rng(seed + 1)
    fine = source(layer)
    v = rng.normal(size=(fine.variables, fine.neurons))
    current = rng.normal(size=fine.neurons)
    adapted = METHODS[method].adapt(layer, float(coarse))
    np.testing.assert_allclose(
        run(adapted, v, current, 1), run(fine, v, current, coarse), rtol=1e-9, atol=1e-9
    )


@given(neuron_names, seeds, st.floats(0.01, 1.0))
def test_expectation_equals_integral(neuron: str, seed: int, rho: float) -> None:
    layer = draw_layer(neuron, seed)
    a, b = (METHODS[name].adapt(layer, rho) for name in ("expectation", "integral"))
    for name in groups_of(layer):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-9)


@given(neuron_names, seeds, st.sampled_from(sorted(METHODS)))
def test_every_method_is_the_source_at_the_source(neuron: str, seed: int, method: str) -> None:
    layer = draw_layer(neuron, seed)
    adapted = METHODS[method].adapt(layer, 1.0)
    if method != "euler" or layer.neuron.ode is None:  # an equation is stepped as such everywhere
        for name in groups_of(layer):
            expected = getattr(source(layer), name)
            np.testing.assert_allclose(getattr(adapted, name), expected, atol=1e-12)
    assert METHODS[method].schedule(10_000, 10_000) == Schedule(substeps=1, lag=1.0)


@given(linear_names, seeds, st.floats(0.01, 4.0))
def test_euler_takes_rho_of_the_change_of_a_source_step(neuron: str, seed: int, rho: float) -> None:
    layer = draw_layer(neuron, seed)
    rng = np.random.default_rng(seed + 1)
    whole = source(layer)
    v = rng.normal(size=(whole.variables, whole.neurons))
    current = rng.normal(size=whole.neurons)
    change = run(whole, v, current, 1) - v
    adapted = METHODS["euler"].adapt(layer, rho)
    np.testing.assert_allclose(run(adapted, v, current, 1), v + rho * change, atol=1e-12)


def test_tau_rebuilds_the_neuron_from_scaled_time_constants() -> None:
    parameters = {"alpha": np.array([0.9]), "beta": np.array([0.98])}
    parameters |= {"a": np.array([0.5]), "b": np.array([1.5])}
    adapted = METHODS["tau"].adapt(Layer("layer0", NEURONS["radlif"], parameters), 0.1)
    alpha, beta = 0.9**0.1, 0.98**0.1
    expected = [[alpha - (1 - alpha) * 0.5, -(1 - alpha) * beta], [0.5, beta]]
    np.testing.assert_allclose(adapted.A[:, :, 0], expected)
    np.testing.assert_allclose(adapted.R[:, 0], [-(alpha + (1 - alpha) * 1.5), 1.5])
    np.testing.assert_allclose(adapted.F[:, 0], [1 - alpha, 0.0])


def test_tau_refuses_a_decay_that_has_no_real_power() -> None:
    layer = Layer("hidden", NEURONS["lif"], {"alpha": np.array([0.9, -0.5])})
    with pytest.raises(UnfitError, match=r"hidden, neuron 1: alpha is -0\.5, which has no real"):
        METHODS["tau"].adapt(layer, 0.5)
    np.testing.assert_allclose(METHODS["tau"].adapt(layer, 2.0).A[0, 0], [0.81, 0.25])


def test_the_general_neuron_is_the_adlif_of_the_papers() -> None:
    """One step of w = beta w + a u + b s; u = alpha (u - s) + (1 - alpha)(i + r - w)."""
    rng = np.random.default_rng(0)
    p = make_parameters("radlif", 8, rng)
    c = source_coefficients(NEURONS["radlif"], p)
    u, w, i, heard = rng.normal(size=(4, 8))
    s = (rng.random(8) < 0.5).astype(float)
    after_w = p["beta"] * w + p["a"] * u + p["b"] * s
    after_u = p["alpha"] * (u - s) + (1 - p["alpha"]) * (i + heard - after_w)
    v = apply(c.A, np.array([u, w])) + c.R * s + c.F * i + c.G * heard
    np.testing.assert_allclose(v, [after_u, after_w], atol=1e-14)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_auto_keeps_the_feedback_delay_of_the_source_in_real_time(
    source_dt_us: int, target_dt_us: int
) -> None:
    assume(target_dt_us <= 10_000 * source_dt_us)
    assume(source_dt_us <= 10_000 * target_dt_us)
    schedule = METHODS["auto"].schedule(source_dt_us, target_dt_us)
    inner_us = target_dt_us / schedule.substeps
    assert schedule.lag * inner_us == pytest.approx(source_dt_us)
    assert inner_us <= source_dt_us
    # One inner step less a bin would be coarser than the source.
    assert schedule.substeps == 1 or target_dt_us / (schedule.substeps - 1) > source_dt_us
    finer = target_dt_us <= source_dt_us
    assert schedule == METHODS["lag" if finer else "substep"].schedule(source_dt_us, target_dt_us)


@pytest.mark.parametrize("method", ["none", "tau", "euler", "integral", "expectation", "impulse"])
@pytest.mark.parametrize("target_dt_us", [1_000, 3_000, 25_000])
def test_the_methods_of_the_paper_step_once_a_bin(method: str, target_dt_us: int) -> None:
    assert METHODS[method].schedule(10_000, target_dt_us) == Schedule(substeps=1, lag=1.0)


@pytest.mark.parametrize(
    ("method", "target_dt_us", "reason"),
    [
        ("lag", 20_000, "20000 us is fine-to-coarse; use the method substep"),
        ("substep", 5_000, "5000 us is coarse-to-fine; use the method lag"),
        ("substep", 100_010_000, r"10,001 times a bin of 100010000 us, at most 10,000"),
    ],
)
def test_a_method_of_one_direction_says_where_it_does_not_fit(
    method: str, target_dt_us: int, reason: str
) -> None:
    with pytest.raises(UnfitError, match=reason):
        METHODS[method].schedule(10_000, target_dt_us)


@pytest.mark.parametrize("method", ["lag", "auto"])
def test_a_lag_of_more_steps_than_a_state_can_hold_is_refused(method: str) -> None:
    assert METHODS[method].schedule(10_000, 1).lag == 10_000.0
    with pytest.raises(UnfitError, match=r"spikes of 20,000 steps of 1 us, at most 10,000"):
        METHODS[method].schedule(20_000, 1)


@given(neuron_names, seeds, st.floats(0.01, 20.0))
def test_impulse_is_integral_but_for_the_charge_of_a_spike(
    neuron: str, seed: int, rho: float
) -> None:
    layer = draw_layer(neuron, seed)
    impulse, integral = (METHODS[name].adapt(layer, rho) for name in ("impulse", "integral"))
    for name in "AF":
        np.testing.assert_array_equal(getattr(impulse, name), getattr(integral, name))
    for name in "RG" if layer.neuron.ode is None else "G":
        np.testing.assert_array_equal(getattr(impulse, name), getattr(source(layer), name))


def test_an_unknown_method_names_the_known() -> None:
    with pytest.raises(AdaptationError, match="unknown method 'taw'; known are none, tau, euler"):
        method_named("taw")


@pytest.mark.parametrize("method", ["integral", "expectation"])
def test_coefficients_that_overflow_are_refused_by_name(method: str) -> None:
    network = make_network("radlif", seed=3)
    with pytest.raises(UnfitError, match=rf"overflows by {method} at 8\.64e\+06 times the source"):
        resolve(network.spec, 86_400_000_000, method)
