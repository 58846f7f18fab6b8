"""Readouts: how many bins become one score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.errors import ConfigError
from retempo.runtime.readouts import READOUTS, new_readout
from tests.builders import seeds

# Where 30 bins are cut into calls.
cuts = st.lists(st.integers(1, 29), max_size=5, unique=True).map(sorted)


@given(seeds, cuts)
def test_readouts_are_their_formulas_however_the_bins_come(seed: int, at: list[int]) -> None:
    rng = np.random.default_rng(seed)
    ys = rng.random((30, 5)).astype(np.float32)
    dt_us, span_us = 1_000, 5_000
    evidence = np.zeros(5)
    expected: dict[str, list[np.ndarray]] = {kind: [] for kind in READOUTS}
    for k, y in enumerate(ys):
        evidence = np.exp(-dt_us / span_us) * evidence + (1 - np.exp(-dt_us / span_us)) * y
        expected["bin"].append(y)
        expected["mean"].append(ys[: k + 1].mean(axis=0, dtype=np.float64))
        expected["window"].append(ys[max(0, k - 4) : k + 1].mean(axis=0, dtype=np.float64))
        expected["leaky"].append(evidence)
    for kind, scores in expected.items():
        readout, alone = new_readout(kind, dt_us, span_us), new_readout(kind, dt_us, span_us)
        found = np.concatenate([readout(part, dt_us) for part in np.split(ys, at)])
        np.testing.assert_allclose(found, scores, atol=1e-12, err_msg=kind)
        one_by_one = np.concatenate([alone(y[np.newaxis], dt_us) for y in ys])
        np.testing.assert_array_equal(found, one_by_one, err_msg=kind)


@given(seeds)
def test_a_bin_of_twice_the_step_counts_as_two_of_them(seed: int) -> None:
    """For an output that stays what it is, cutting time otherwise changes no score."""
    y = np.random.default_rng(seed).random((1, 4)).astype(np.float32)
    z = np.float32(1.0) - y
    for kind in READOUTS:
        fine, mixed = new_readout(kind, 1_000, 8_000), new_readout(kind, 1_000, 8_000)
        first = np.repeat(y, 6, axis=0)
        np.testing.assert_array_equal(fine(first, 1_000), mixed(first, 1_000))
        expected = fine(np.repeat(z, 4, axis=0), 1_000)[-1]
        np.testing.assert_allclose(
            mixed(np.repeat(z, 2, axis=0), 2_000)[-1], expected, atol=1e-12, err_msg=kind
        )


def test_the_scores_of_a_bin_outlive_the_next_step() -> None:
    """Engines reuse the buffer of y."""
    y = np.zeros((1, 3), np.float32)
    for kind in READOUTS:
        readout = new_readout(kind, 1_000)
        scores = readout(y, 1_000)
        y[:] = 7.0
        readout(y, 1_000)
        np.testing.assert_array_equal(scores, 0.0, err_msg=kind)
        y[:] = 0.0


def test_what_is_no_readout_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown readout 'sum'; known are mean, bin, leaky"):
        new_readout("sum", 1_000)
    with pytest.raises(ConfigError, match="at least 1 us, got 0"):
        new_readout("leaky", 1_000, 0)
