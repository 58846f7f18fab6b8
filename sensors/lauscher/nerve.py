"""The nerve: how many of a channel's fibres fire at a step, drawn so that every cut draws alike.

Each of 40 fibres fires with the probability `rate dt` unless it fired within the dead time, so that
the count of a step is binomial over the fibres that are awake. Its random number is a hash of seed,
channel and step (the finalizer of SplitMix64; Steele, Lea, Flood 2014).
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.lauscher.hair_cell import Floats

FIBRES = 40
DEAD_S = 1e-3
_GOLDEN = 0x9E3779B97F4A7C15
_STEP = 0xD1B54A32D192ED03
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_LARGEST = 1.0 - 1e-12

Counts = NDArray[np.int64]


@njit(cache=True, nogil=True)
def fire(
    seed: int,
    first_step: int,
    dead_steps: int,
    dt_s: float,
    rate_hz: Floats,
    fired: Counts,
    dead: Counts,
    counts: Counts,
) -> None:  # pragma: no cover - compiled
    """Draw the fibres of every channel and step; writes to `fired`, `dead` and `counts`.

    Shapes: `rate_hz` and `counts` `(channels, steps)`, `fired` and `dead` see `state.Bushy`.
    """
    for n in range(rate_hz.shape[0]):
        key = _mixed(np.uint64(seed) + np.uint64(n + 1) * np.uint64(_GOLDEN))
        slot, asleep = first_step % fired.shape[1], dead[n]
        for k in range(rate_hz.shape[1]):
            bits = _mixed(key + np.uint64(first_step + k) * np.uint64(_STEP))
            chance = np.float64(bits >> np.uint64(11)) * 2.0**-53
            count = _binomial(chance, FIBRES - asleep, min(rate_hz[n, k] * dt_s, _LARGEST))
            counts[n, k] = count
            if dead_steps:
                asleep += count - fired[n, slot]
                fired[n, slot] = count
            slot = slot + 1 if slot + 1 < fired.shape[1] else 0
        dead[n] = asleep


@njit(cache=True, nogil=True)
def _mixed(bits: np.uint64) -> np.uint64:  # pragma: no cover - compiled
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_MIX[0])
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_MIX[1])
    return bits ^ (bits >> np.uint64(31))


@njit(cache=True, nogil=True)
def _binomial(chance: float, awake: int, p: float) -> int:  # pragma: no cover - compiled
    # Most steps fire nothing, and Bernoulli's inequality tells that without a power.
    if chance < 1.0 - awake * p:
        return 0
    share = math.exp(awake * math.log1p(-p))
    below = share
    count = 0
    while chance >= below and count < awake:
        share *= (awake - count) / (count + 1.0) * (p / (1.0 - p))
        count += 1
        below += share
    return count


def fire_plainly(
    seed: int, first_step: int, dead_steps: int, dt_s: float, rate_hz: Floats
) -> Counts:
    """Do what `fire` does from rest, in Python."""
    counts = np.zeros(rate_hz.shape, np.int64)
    whole = 2**64 - 1
    for n, row in enumerate(rate_hz.tolist()):
        key = _mixed_plainly((seed + (n + 1) * _GOLDEN) & whole)
        for k, rate in enumerate(row):
            chance = (_mixed_plainly((key + (first_step + k) * _STEP) & whole) >> 11) * 2.0**-53
            awake = FIBRES - int(counts[n, max(0, k - dead_steps) : k].sum())
            p = min(rate * dt_s, _LARGEST)
            shares = [math.comb(awake, i) * p**i * (1.0 - p) ** (awake - i) for i in range(awake)]
            counts[n, k] = int(np.searchsorted(np.cumsum(shares), chance, side="right"))
    return counts


def _mixed_plainly(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * _MIX[0]) & (2**64 - 1)
    bits = ((bits ^ (bits >> 27)) * _MIX[1]) & (2**64 - 1)
    return bits ^ (bits >> 31)
