"""A gain that follows the power of a sound: the compiled kernel and its plain twin.

The power follows `P <- P + r (x^2 - P)`, `r` being the attack where `x^2 > P` and else the release,
and a sample becomes `level x / sqrt(max(P, floor^2))`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from retempo.sensors.ears.samples import Samples


class Follower(NamedTuple):
    """Shares a sample, and root mean squares."""

    attack: float
    release: float
    floor_power: float
    level: float


def share(time_ms: float, rate_hz: int) -> float:
    """Return the share that a time constant closes of a gap in one sample."""
    return -math.expm1(-1e3 / (time_ms * rate_hz))


def followed(follower: Follower, power: float, samples: Samples) -> tuple[float, Samples]:
    """Return the power behind the samples, and the samples at the level wanted."""
    out = np.empty_like(samples)
    return float(_follow(*follower, power, samples, out)), out


@njit(cache=True, nogil=True)
def _follow(
    attack: float,
    release: float,
    floor_power: float,
    level: float,
    power: float,
    samples: Samples,
    out: Samples,
) -> float:  # pragma: no cover - compiled
    for k in range(len(samples)):
        difference = samples[k] * samples[k] - power
        power += difference * (attack if difference > 0.0 else release)
        out[k] = samples[k] * level / math.sqrt(max(power, floor_power))
    return power


def followed_plainly(follower: Follower, power: float, samples: Samples) -> tuple[float, Samples]:
    """Do what `followed` does, in Python."""
    out = []
    for value in samples.tolist():
        difference = value * value - power
        power += difference * (follower.attack if difference > 0.0 else follower.release)
        out.append(value * follower.level / math.sqrt(max(power, follower.floor_power)))
    return power, np.array(out, np.float64)
