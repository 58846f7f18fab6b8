"""The swing that a held input loses, against simulation."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import NetworkSpec, check_network
from retempo.exporters.errors import NetworkError, UnfitError
from retempo.exporters.matching import HORIZON, swing_ratio
from retempo.exporters.neurons import NEURONS, Coefficients, source_coefficients
from retempo.exporters.neurons.general import Array
from retempo.exporters.resolution import LayerResolution, resolve
from tests.builders import make_network, make_parameters, neuron_names, seeds

NEURONS_OF_A_LAYER = 8


def draw(neuron: str, seed: int) -> Coefficients:
    rng = np.random.default_rng(seed)
    parameters = make_parameters(neuron, NEURONS_OF_A_LAYER, rng, stable=True)
    return source_coefficients(NEURONS[neuron], parameters)


def swings(c: Coefficients, current: Array) -> Array:
    """The standard deviation of each membrane below any threshold, after it has settled."""
    v = np.zeros((c.variables, c.neurons))
    u = np.empty((len(current), c.neurons))
    for k, i in enumerate(current):
        v = np.einsum("ijn,jn->in", c.A, v) + c.F * i
        u[k] = v[0]
    deviation: Array = u[500:].std(axis=0)
    return deviation


def decaying(keep: float, lags: int = HORIZON) -> Array:
    return np.power(keep, np.arange(lags, dtype=np.float64))


def correlated_noise(steps: int, keep: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=steps) * np.sqrt(1.0 - keep * keep)
    current = np.empty(steps)
    last = 0.0
    for k in range(steps):
        last = keep * last + noise[k]
        current[k] = last
    return current


@pytest.mark.parametrize("neuron", ["lif", "adlif"])
@pytest.mark.parametrize("keep", [0.0, 0.7])
@pytest.mark.parametrize("held_steps", [2, 5, 10])
def test_the_ratio_is_that_of_a_simulated_membrane(
    neuron: str, keep: float, held_steps: int
) -> None:
    c = draw(neuron, 1)
    current = correlated_noise(40_000, keep, 2)
    held = np.repeat(current.reshape(-1, held_steps).mean(axis=1), held_steps)
    ratio = swing_ratio(c, decaying(keep), float(held_steps))
    np.testing.assert_allclose(ratio, swings(c, current) / swings(c, held), rtol=0.04)
    assert held_steps < 10 or ratio.max() > 1.05  # there is something to make up for


@given(neuron_names, seeds, st.floats(0.001, 1.0))
def test_from_coarse_to_fine_nothing_is_held(neuron: str, seed: int, rho: float) -> None:
    ratio = swing_ratio(draw(neuron, seed), decaying(0.5, 20), rho)
    np.testing.assert_allclose(ratio, 1.0, rtol=1e-12)


@settings(max_examples=30)
@given(neuron_names, seeds, st.floats(0.0, 0.95), st.floats(1.0, 40.0))
def test_the_ratio_is_finite_and_grows_between_whole_ratios_without_a_jump(
    neuron: str, seed: int, keep: float, rho: float
) -> None:
    c = draw(neuron, seed)
    correlation = decaying(keep)
    ratio = swing_ratio(c, correlation, rho)
    assert np.isfinite(ratio).all()
    assert (ratio > 0.0).all()
    np.testing.assert_allclose(swing_ratio(c, correlation, rho + 1e-7), ratio, rtol=1e-4)


def test_a_current_that_never_varies_asks_for_nothing() -> None:
    constant = np.ones(HORIZON)
    np.testing.assert_allclose(swing_ratio(draw("radlif", 3), constant, 7.0), 1.0, rtol=1e-4)


def test_a_bin_longer_than_the_past_that_counts_costs_no_more_than_that_past() -> None:
    """Every place where a bin can begin is averaged over, however many there are."""
    c = draw("adlif", 2)
    correlation = decaying(0.9)
    ratio = swing_ratio(c, correlation, 4.0 * HORIZON)
    response = np.empty((HORIZON, c.neurons))
    v = c.F.copy()
    for k in range(HORIZON):
        response[k] = v[0]
        v = np.einsum("ijn,jn->in", c.A, v)
    known = np.append(correlation, np.zeros(9 * HORIZON))
    steps = np.arange(HORIZON)
    whole = np.einsum("jn,kn,jk->n", response, response, known[abs(steps[:, None] - steps)])
    held = np.zeros(c.neurons)
    size = 4 * HORIZON
    near = np.arange(2 * size)
    mean = [
        known[abs(near[:size, None] - near[None, begin : begin + size])].mean()
        for begin in (0, size)
    ]
    for phase in range(size):
        first = response[: size - phase].sum(axis=0)
        second = response[size - phase :].sum(axis=0)
        held += mean[0] * (first**2 + second**2) + 2.0 * mean[1] * first * second
    np.testing.assert_allclose(ratio, np.sqrt(whole / (held / size)), rtol=1e-9)
    assert np.isfinite(swing_ratio(c, correlation, 10_000.0)).all()


def test_matched_over_more_source_steps_than_can_be_looked_at_is_refused() -> None:
    with pytest.raises(UnfitError, match=r"the 10,001 source steps of a bin, at most 10,000"):
        resolve(with_correlation([1.0, 0.5]), 100_010_000, "integral", "matched")


def resolved(network: NetworkSpec, dt_us: int, rule: str) -> LayerResolution:
    return resolve(network, dt_us, "auto", rule).layers[0]


def with_correlation(correlation: list[float] | None) -> NetworkSpec:
    spec = make_network("radlif", stable=True).spec
    return msgspec.structs.replace(spec, input_correlation=correlation)


def test_matched_raises_the_gain_about_the_mean_current() -> None:
    """An input at its mean drives the neuron as `paper` has it; what varies drives it more."""
    correlation = [0.6**lag for lag in range(40)]
    spec = with_correlation(correlation)
    paper, matched = (resolved(spec, 80_000, rule) for rule in ("paper", "matched"))
    source = resolve(spec, 10_000, "none").layers[0]
    ratio = swing_ratio(
        Coefficients(source.A, source.R, source.F, source.G), np.array(correlation), 8.0
    )
    assert ratio.min() > 1.0
    np.testing.assert_allclose(matched.gain, ratio * paper.gain)
    norm = spec.layers[0].norm
    assert norm is not None
    mean = 8.0 * np.array(norm.mean)
    for layer in (paper, matched):
        np.testing.assert_allclose(layer.gain * mean + layer.bias, norm.bias)


@pytest.mark.parametrize("dt_us", [1_000, 3_000, 10_000])
def test_matched_is_paper_from_coarse_to_fine(dt_us: int) -> None:
    spec = with_correlation([1.0, 0.5, 0.1])
    paper, matched = (resolved(spec, dt_us, rule) for rule in ("paper", "matched"))
    np.testing.assert_allclose(matched.gain, paper.gain, rtol=1e-12)
    np.testing.assert_allclose(matched.bias, paper.bias, rtol=1e-12)


def test_matched_is_paper_for_a_network_that_keeps_no_correlation() -> None:
    spec = with_correlation(None)
    paper, matched = (resolved(spec, 80_000, rule) for rule in ("paper", "matched"))
    np.testing.assert_array_equal(matched.gain, paper.gain)


@pytest.mark.parametrize("correlation", [[0.9, 0.5], [1.0, 1.5], [1.0, float("nan")]])
def test_what_is_no_autocorrelation_is_refused(correlation: list[float]) -> None:
    with pytest.raises(NetworkError, match="input_correlation is no autocorrelation"):
        check_network(with_correlation(correlation))
