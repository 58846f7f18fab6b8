"""The filters of the cochlea are gammatones, even on the scale of hearing."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from retempo.sensors.cochlea import CochleaSpec, coefficients_of, hear, new_state
from retempo.sensors.cochlea.erb import bandwidth_hz, centres_hz

SMALL = CochleaSpec(channels=12)


def impulse_responses(spec: CochleaSpec, rate_hz: int, samples: int) -> NDArray[np.float64]:
    """What the filters answer to an impulse, read off the state, the gain control undone."""
    coefficients = coefficients_of(spec, rate_hz)._replace(attack=0.0, release=0.0)
    state = new_state(coefficients)
    click = math.sqrt(coefficients.floor_power) / coefficients.level
    answers = []
    for value in [click] + [0.0] * (samples - 1):
        state, _ = hear(coefficients, state, [value])
        answers.append(state.filter_re[-1].copy())
    return np.array(answers).T


def test_a_filter_answers_an_impulse_with_a_gammatone() -> None:
    rate_hz, samples = 16_000, 400
    frequency_hz = centres_hz(SMALL.channels, SMALL.low_hz, 0.45 * rate_hz)
    n = np.arange(samples)
    radius = np.exp(-2.0 * np.pi * 1.019 * bandwidth_hz(frequency_hz) / rate_hz)[:, None]
    envelope = (n + 1) * (n + 2) * (n + 3) / 6.0 * radius**n
    carrier = np.cos(2.0 * np.pi * frequency_hz[:, None] * n / rate_hz)
    expected = 2.0 * (1.0 - radius) ** 4 * envelope * carrier
    np.testing.assert_allclose(impulse_responses(SMALL, rate_hz, samples), expected, atol=1e-12)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_the_filters_pass_what_scipys_gammatones_pass(rate_hz: int) -> None:
    answers = impulse_responses(SMALL, rate_hz, 4_096)
    centres = centres_hz(SMALL.channels, SMALL.low_hz, min(SMALL.high_hz, 0.45 * rate_hz))
    # Lower ones are beyond what scipy's single polynomial of order 8 can represent.
    sound = [pair for pair in zip(answers, centres, strict=True) if 0.03 < pair[1] / rate_hz < 0.4]
    assert len(sound) >= 6
    for answer, frequency_hz in sound:
        band = frequency_hz + bandwidth_hz(frequency_hz) * np.linspace(-1.0, 1.0, 9)
        b, a = signal.gammatone(frequency_hz, "iir", fs=rate_hz)
        _, theirs = signal.freqz(b, a, band, fs=rate_hz)
        _, ours = signal.freqz(answer, [1.0], band, fs=rate_hz)
        decibels = 20.0 * np.log10(np.abs(ours) / np.abs(theirs))
        assert np.abs(decibels).max() < 0.02


def test_centres_are_as_many_bandwidths_apart_each() -> None:
    frequency_hz = centres_hz(200, 80.0, 8_000.0)
    assert frequency_hz[[0, -1]] == pytest.approx([80.0, 8_000.0])
    between = (frequency_hz[1:] + frequency_hz[:-1]) / 2.0
    apart = np.diff(frequency_hz) / bandwidth_hz(between)
    assert apart.max() / apart.min() == pytest.approx(1.0, rel=1e-3)
    assert bandwidth_hz(np.array([1_000.0])) == pytest.approx([132.6], abs=0.1)
