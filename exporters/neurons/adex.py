"""Adaptive exponential integrate-and-fire, with and without recurrence.

    tau_m dx/dt = -x + phi(x) + e0 x - w + i + V s
    tau_w dw/dt = a x - w
    spike at x = 1:  x -= 1 - X_RESET,  w += b

with `phi(x) + e0 x = DELTA_T (e^((x - X_T) / DELTA_T) - e^(-X_T / DELTA_T))`, the exponential less
its value at rest, and `e0` its slope there. `alpha = exp(-dt / tau_m)`, `beta = exp(-dt / tau_w)`.
State order (x, w). Source: Brette and Gerstner 2005, in units of rest 0 and peak 1. DELTA_T is wide
enough that a source step resolves the upswing.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.adlif import ADAPTATION_DECAY
from retempo.exporters.neurons.general import Ode, Range, Upswing, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY
from retempo.exporters.neurons.ode import ode_neuron, rate

X_T = 0.6
DELTA_T = 0.2
X_RESET = 0.0
E0 = math.e ** (-X_T / DELTA_T)


def _ode(p: Mapping[str, Vector]) -> Ode:
    membrane, adaptation = rate(p["alpha"]), rate(p["beta"])
    return Ode(
        J=((membrane * (E0 - 1.0), -membrane), (adaptation * p["a"], -adaptation)),
        input=(membrane, 0.0),
        recurrent=(membrane, 0.0),
        jump=(X_RESET - 1.0, p["b"]),
        upswing=(membrane, 0.0),
    )


def _phi(x: Vector) -> Vector:
    return DELTA_T * (math.e ** ((x - X_T) / DELTA_T) - E0) - E0 * x


def _slope(x: Vector) -> Vector:
    return math.e ** ((x - X_T) / DELTA_T) - E0


ADEX = ode_neuron(
    name="adex",
    parameters={
        "alpha": MEMBRANE_DECAY,
        "beta": ADAPTATION_DECAY,
        "a": Range(-0.5, 2.0),
        "b": Range(0.0, 2.0),
    },
    decays=("alpha", "beta"),
    ode=_ode,
    upswing=Upswing(_phi, _slope),
)

RADEX = replace(ADEX, name="radex", recurrent=True)
