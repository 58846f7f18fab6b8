"""The Heidelberg ear over a whole sound, from the equations, in NumPy and scipy.

Only what the ear under test streams is written anew here: the level, the membrane and the random
numbers of the published spikes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

LENGTH, C0, RELEASE, ALPHA, MASS, DEPTH = 3.5, 1e8, 3_500.0, 3.0, 0.05, 0.1
R0 = 0.15 * np.sqrt(C0 * MASS)
FIBRES = 40


def frequencies(rate_hz: int, size: int) -> Floats:
    """Angular frequencies from 1 Hz up to half the rate, `(size // 2 + 1,)`."""
    return 2.0 * np.pi * np.linspace(1.0, rate_hz // 2, size // 2 + 1)


def velocity_answer(w: Floats, x: float) -> Complex:
    """`v = 2 w Z p(x) / (xi(x) p(0))`."""
    with np.errstate(all="ignore"):
        found = 2.0 * w / xi(w, x) * pressure(w, x) / pressure(w, 0.0) * impedance(w)
    # Far beyond its note a place answers less than any number tells.
    return np.nan_to_num(np.asarray(found))


def xi(w: Floats, x: float) -> Complex:
    stiffness = C0 * np.exp(-ALPHA * x) - RELEASE
    return np.asarray(stiffness - MASS * w**2 - 1j * w * R0 * np.exp(-ALPHA * x / 2.0))


def wave_number(w: Floats, x: float) -> Complex:
    return np.asarray(w * np.sqrt(1.0 / (DEPTH * xi(w, x))))


def phase(w: Floats, x: float) -> Complex:
    """`2 g(0) / a + int_0^x g`, the integral in closed form."""
    q = np.sqrt(RELEASE + MASS * w**2)

    def primitive(at: float) -> Complex:
        damping = 1j * w * R0 * np.exp(-ALPHA * at / 2.0)
        inside = 1j * (2.0 * RELEASE + 2.0 * MASS * w**2 + damping) / (2.0 * q)
        return np.asarray(np.log(np.exp(ALPHA * at / 2.0) * (inside - np.sqrt(xi(w, at)))))

    # The logarithm of the quotient, not the difference of two, decides on the branch.
    turns = np.log(np.exp(primitive(0.0) - primitive(x)))
    return np.asarray(
        2.0 * wave_number(w, 0.0) / ALPHA - 2j * w / (ALPHA * np.sqrt(DEPTH) * q) * turns
    )


def pressure(w: Floats, x: float) -> Complex:
    angle = phase(w, x)
    return np.asarray(np.sqrt(angle / wave_number(w, x)) * special.hankel1(0, angle))


def impedance(w: Floats) -> Complex:
    k = 2.0 * w / ALPHA * np.sqrt(2.0 / (DEPTH * C0))
    above = 1j * special.j0(k) + special.y0(k)
    below = special.j1(k) - 1j * special.y1(k)
    return np.asarray(np.sqrt(2.0 * C0 / DEPTH) * above / below)


def levelled(samples: Floats, loudness: float = 0.3) -> Floats:
    """A recording at a root mean square, faded in and out over its halves."""
    half = len(samples) // 2
    window = np.hanning(2 * half)
    out = samples * (loudness / np.sqrt(np.mean(samples**2)))
    out[:half] *= window[:half]
    out[-half:] *= window[half:]
    return np.asarray(out)


def published_velocity(samples: Floats, rate_hz: int, channels: int) -> Floats:
    """The membrane's velocity at half the rate, `(channels, samples // 2 + 1)`."""
    steps = len(samples) // 2 + 1
    spectrum = np.fft.fft(levelled(samples))[:steps]
    w = frequencies(rate_hz, len(samples))
    places = np.linspace(0.0, LENGTH, channels)
    return np.array([np.fft.ifft(velocity_answer(w, x) * spectrum).real for x in places])


class PublishedDraws:
    """Fibres drawn by the random numbers of the published spikes, however the steps are cut."""

    def __init__(self, channels: int, steps: int, dead_steps: int) -> None:
        generator = np.random.RandomState(123)
        self.chances = np.array(
            [generator.rand(steps, FIBRES).astype(np.float64) for _ in range(channels)]
        )
        self.last = np.full((channels, FIBRES), -(10**9))
        self.dead_steps = dead_steps

    def __call__(self, first_step: int, probability: Floats) -> NDArray[np.int64]:
        counts = np.zeros(probability.shape, np.int64)
        for k, p in enumerate(probability.T):
            step = first_step + k
            fires = self.chances[:, step] < p[:, np.newaxis]
            fires &= step - self.last >= self.dead_steps
            self.last[fires] = step
            counts[:, k] = fires.sum(axis=1)
        return counts
