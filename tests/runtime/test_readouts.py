"""Readouts: how many bins become one score."""

import numpy as np
import pytest
from hypothesis import given

from retempo.runtime.errors import ConfigError
from retempo.runtime.readouts import new_readout
from tests.builders import seeds


@given(seeds)
def test_readouts_are_their_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ys = rng.random((30, 2, 5)).astype(np.float32)
    dt_us, span_us = 1_000, 5_000
    readouts = {k: new_readout(k, dt_us, span_us) for k in ("bin", "mean", "window", "leaky")}
    evidence = np.zeros((2, 5))
    for k, y in enumerate(ys):
        evidence = np.exp(-dt_us / span_us) * evidence + (1 - np.exp(-dt_us / span_us)) * y
        expected = {
            "bin": y,
            "mean": ys[: k + 1].mean(axis=0, dtype=np.float64),
            "window": ys[max(0, k - 4) : k + 1].mean(axis=0, dtype=np.float64),
            "leaky": evidence,
        }
        for name, readout in readouts.items():
            np.testing.assert_allclose(readout(y), expected[name], atol=1e-12, err_msg=name)


def test_the_scores_of_a_bin_outlive_the_next_step() -> None:
    """Engines reuse the buffer of y."""
    y = np.zeros(3, np.float32)
    for kind in ("bin", "mean", "window", "leaky"):
        scores = new_readout(kind, 1_000)(y)
        y[:] = 7.0
        np.testing.assert_array_equal(scores, 0.0, err_msg=kind)
        y[:] = 0.0


def test_what_is_no_readout_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown readout 'sum'; known are mean, bin, leaky"):
        new_readout("sum", 1_000)
    with pytest.raises(ConfigError, match="at least 1 us, got 0"):
        new_readout("leaky", 1_000, 0)
