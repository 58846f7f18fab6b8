"""The differential equations of the nonlinear neurons, integrated plainly in steps of 1 us."""

import math
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

X_T, DELTA_T = 0.6, 0.2
AT_REST = math.exp(-X_T / DELTA_T)


def adex(x: float, w: float, i: float) -> float:
    """tau_m dx/dt: the exponential less its value at rest, below rest its tangent."""
    if x < 0.0:
        return -x + AT_REST * x - w + i
    return -x + DELTA_T * (math.exp((x - X_T) / DELTA_T) - AT_REST) - w + i


def izhikevich(x: float, w: float, i: float) -> float:
    """tau_m dx/dt, below rest without the quadratic."""
    if x < 0.0:
        return -x - w + i
    return -x * (1.0 - x / X_T) - w + i


EQUATIONS = {"adex": adex, "radex": adex, "izhikevich": izhikevich, "rizhikevich": izhikevich}


def integrate(
    neuron: str, parameters: dict[str, Array], dt_us: int, current: Array, every_us: int, count: int
) -> tuple[Array, Array]:
    """Return the membrane and the spikes so far, `(count, neurons)`, after each `every_us`.

    `dt_us` is the time step that the parameters are meant at, `current` stays.
    """
    membranes, spikes = np.zeros((2, count, len(current)))
    p = parameters
    tau_m_us, tau_w_us = (-dt_us / np.log(p[name]) for name in ("alpha", "beta"))
    loop = _compiled(EQUATIONS[neuron])
    loop(tau_m_us, tau_w_us, p["a"], p["b"], current, every_us, membranes, spikes)
    return membranes, spikes


@cache
def _compiled(equation):  # type: ignore[no-untyped-def]
    slope = njit(equation)

    @njit
    def loop(tau_m_us, tau_w_us, a, b, current, every_us, membranes, spikes):  # type: ignore[no-untyped-def]
        # The midpoint rule; a spike at x = 1 subtracts 1 from x and adds b to w.
        for n in range(len(current)):
            x, w, count = 0.0, 0.0, 0.0
            for k in range(len(membranes)):
                for _ in range(every_us):
                    mid_x = x + 0.5 * slope(x, w, current[n]) / tau_m_us[n]
                    mid_w = w + 0.5 * (a[n] * x - w) / tau_w_us[n]
                    x += slope(mid_x, mid_w, current[n]) / tau_m_us[n]
                    w += (a[n] * mid_x - mid_w) / tau_w_us[n]
                    if x > 1.0:
                        x -= 1.0
                        w += b[n]
                        count += 1.0
                membranes[k, n] = x
                spikes[k, n] = count

    return loop
