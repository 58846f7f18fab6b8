"""Bushy cells: leaky integrate-and-fire neurons that 40 fibres of a nerve feed, one a channel.

    u <- u exp(-dt / tau_m) + (w / 40) I dt      I <- I exp(-dt / tau_s) + fibres that fire

A cell fires where `u` reaches 1 and is deaf for a millisecond from the next step on.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.lauscher.hair_cell import Floats
from retempo.sensors.lauscher.nerve import FIBRES, Counts

TAU_MEMBRANE_S = 1e-3
TAU_SYNAPSE_S = 5e-4
DEAF_S = 1e-3
WEIGHT_HZ = 13_000.0


@njit(cache=True, nogil=True)
def integrate(
    counts: Counts,
    first_step: int,
    deaf_steps: int,
    dt_s: float,
    current: Floats,
    potential: Floats,
    deaf: Counts,
    out_step: NDArray[np.int64],
    out_channel: NDArray[np.uint16],
) -> int:  # pragma: no cover - compiled
    """Step the cells; writes to their state, and a spike to `out_step` and `out_channel`.

    Whether a cell fires at a step is told at the next one. Shapes: `counts` `(channels, steps)`.
    """
    fade, fade_current = math.exp(-dt_s / TAU_MEMBRANE_S), math.exp(-dt_s / TAU_SYNAPSE_S)
    gain = WEIGHT_HZ / FIBRES * dt_s
    spikes = 0
    for n in range(counts.shape[0]):
        u, i, wait = potential[n], current[n], deaf[n]
        for k in range(counts.shape[1]):
            if wait <= 0 and u >= 1.0:
                out_step[spikes] = first_step + k - 1
                out_channel[spikes] = n
                spikes += 1
                wait = deaf_steps
            u = u * fade if wait <= 0 else 0.0
            i = i * fade_current + counts[n, k]
            if wait <= 0:
                u = min(u + gain * i, 1.0)
            wait -= 1
        potential[n], current[n], deaf[n] = u, i, max(wait, 0)
    return spikes


def integrate_plainly(
    counts: Counts, deaf_steps: int, dt_s: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do what `integrate` does from rest, in NumPy, step by step; returns steps and channels."""
    fade, fade_current = math.exp(-dt_s / TAU_MEMBRANE_S), math.exp(-dt_s / TAU_SYNAPSE_S)
    gain = WEIGHT_HZ / FIBRES * dt_s
    u, i, wait = (np.zeros(len(counts)) for _ in range(3))
    spikes: list[tuple[int, int]] = []
    for step, arriving in enumerate(counts.T):
        fired = (wait <= 0) & (u >= 1.0)
        spikes += [(step - 1, int(n)) for n in np.flatnonzero(fired)]
        wait = np.where(fired, deaf_steps, wait)
        i = i * fade_current + arriving
        u = np.where(wait <= 0, np.minimum(u * fade + gain * i, 1.0), 0.0)
        wait = wait - 1
    steps, channels = zip(*spikes, strict=True) if spikes else ((), ())
    return np.array(steps, np.int64), np.array(channels, np.int64)
