"""Batch norm as gain and bias at any resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.errors import AdaptationError
from retempo.exporters.normalisation import BatchNorm, InputScale, fold, move, no_batch_norm
from tests.builders import seeds


def draw(seed: int, neurons: int = 8) -> BatchNorm:
    rng = np.random.default_rng(seed)
    return BatchNorm(
        mean=rng.normal(size=neurons),
        variance=rng.uniform(1e-6, 2.0, neurons),
        weight=rng.normal(size=neurons),
        bias=rng.normal(size=neurons),
    )


@given(seeds)
def test_folding_is_the_batch_norm(seed: int) -> None:
    norm = draw(seed)
    z = np.random.default_rng(seed + 1).normal(size=8)
    gain, bias = fold(norm)
    expected = (z - norm.mean) / np.sqrt(norm.variance + norm.epsilon) * norm.weight + norm.bias
    np.testing.assert_allclose(gain * z + bias, expected, atol=1e-9)


@given(seeds, st.floats(0.001, 100.0))
def test_paper_gives_a_bin_of_rho_inputs_the_current_of_one(seed: int, rho: float) -> None:
    norm = draw(seed)
    z = np.random.default_rng(seed + 1).normal(size=8)
    (gain, bias), (moved_gain, moved_bias) = (
        fold(norm),
        fold(move(norm, InputScale(rho, rho), "paper")),
    )
    np.testing.assert_allclose(moved_gain * (rho * z) + moved_bias, gain * z + bias, rtol=1e-9)


def test_a_layer_without_batch_norm_is_scaled_too() -> None:
    gain, bias = fold(move(no_batch_norm(3), InputScale(0.1, 0.1), "paper"))
    np.testing.assert_allclose(gain, 10.0)
    np.testing.assert_array_equal(bias, 0.0)


def test_none_keeps_the_statistics() -> None:
    norm = draw(0)
    assert move(norm, InputScale(0.1, 0.1), "none") is norm


def test_an_unknown_rule_names_the_known() -> None:
    with pytest.raises(AdaptationError, match="unknown normalisation rule 'papr'; known are none"):
        move(draw(0), InputScale(0.5, 0.5), "papr")


@given(seeds, st.floats(0.001, 100.0))
def test_independent_events_keep_mean_and_spread_of_the_current(seed: int, rho: float) -> None:
    """A bin of `rho` times the events has `rho` times the mean and the variance."""
    norm = draw(seed)
    gain, bias = fold(norm)
    moved_gain, moved_bias = fold(move(norm, InputScale(rho, rho), "independent"))
    mean = moved_gain * (rho * norm.mean) + moved_bias
    np.testing.assert_allclose(mean, gain * norm.mean + bias, atol=1e-9)
    spread = moved_gain**2 * (rho * norm.variance)
    np.testing.assert_allclose(spread, gain**2 * norm.variance, rtol=1e-9)


def test_measured_statistics_are_never_moved() -> None:
    with pytest.raises(AdaptationError, match="measured, not moved"):
        move(draw(0), InputScale(0.5, 0.5), "measured")
