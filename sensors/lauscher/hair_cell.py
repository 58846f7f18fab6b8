"""Hair cells: membrane velocity to the rate at which their nerve fires.

A cell keeps transmitter in a pool `q`, a cleft `c` and a store `w`; the membrane lets it out:

    k = g max(0, v + A) / (v + A + B)
    q' = y max(0, M - q) - k q + x w      c' = k q - (l + r) c      w' = r c - x w
    rate = h c

Stepped by Euler's forward rule, none of the three below 0. Source: Meddis, Simulation of mechanical
to neural transduction in the auditory receptor, 1986, and 1988, with the constants of a fibre of
medium spontaneous rate.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RELEASE_HZ = 2_000.0  # g
PERMEABLE = (5.0, 300.0)  # A and B
REPLENISH_HZ = 5.05  # y
LOSS_HZ = 2_500.0  # l
RETURN_HZ = 6_580.0  # r
REPROCESS_HZ = 66.3  # x
FIRING_HZ = 50_000.0  # h
POOL = 1.0  # M


class Hair(NamedTuple):
    """Transmitter in the pool, the cleft and the store of each channel, `(channels,)`."""

    pool: Floats
    cleft: Floats
    store: Floats


def hair_at_rest(channels: int) -> Hair:
    """Return hair cells that have heard silence for ever."""
    a, b = PERMEABLE
    k = RELEASE_HZ * a / (a + b)
    away = LOSS_HZ + RETURN_HZ
    cleft = POOL * REPLENISH_HZ * k / (LOSS_HZ * k + REPLENISH_HZ * away)
    values = (cleft * away / k, cleft, cleft * RETURN_HZ / REPROCESS_HZ)
    return Hair(*(np.full(channels, value) for value in values))


@njit(cache=True, nogil=True)
def transduce(
    velocity: Floats, dt_s: float, pool: Floats, cleft: Floats, store: Floats, rate_hz: Floats
) -> None:  # pragma: no cover - compiled
    """Step the hair cells; writes to the pools and to `rate_hz`.

    Shapes: `velocity` and `rate_hz` `(channels, steps)`.
    """
    a, b = PERMEABLE
    for n in range(velocity.shape[0]):
        q, c, w = pool[n], cleft[n], store[n]
        for step in range(velocity.shape[1]):
            open_ = velocity[n, step] + a
            k = RELEASE_HZ * open_ / (open_ + b) * dt_s if open_ > 0.0 else 0.0
            out = k * q
            back = REPROCESS_HZ * dt_s * w
            gain = REPLENISH_HZ * dt_s * max(POOL - q, 0.0)
            q = max(q + gain - out + back, 0.0)
            w = max(w + RETURN_HZ * dt_s * c - back, 0.0)
            c = max(c + out - (LOSS_HZ + RETURN_HZ) * dt_s * c, 0.0)
            rate_hz[n, step] = FIRING_HZ * c
        pool[n], cleft[n], store[n] = q, c, w


def transduce_plainly(velocity: Floats, dt_s: float, hair: Hair) -> tuple[Hair, Floats]:
    """Do what `transduce` does, in NumPy, a step at a time; writes to nothing."""
    a, b = PERMEABLE
    q, c, w = hair
    rates = np.zeros_like(velocity)
    for step, v in enumerate(velocity.T):
        open_ = np.maximum(v + a, 0.0)
        k = RELEASE_HZ * open_ / (open_ + b) * dt_s
        out, back = k * q, REPROCESS_HZ * dt_s * w
        gain = REPLENISH_HZ * dt_s * np.maximum(POOL - q, 0.0)
        q, w, c = (
            np.maximum(q + gain - out + back, 0.0),
            np.maximum(w + RETURN_HZ * dt_s * c - back, 0.0),
            np.maximum(c + out - (LOSS_HZ + RETURN_HZ) * dt_s * c, 0.0),
        )
        rates[:, step] = FIRING_HZ * c
    return Hair(q, c, w), rates
