"""Izhikevich's quadratic integrate-and-fire with adaptation, with and without recurrence.

    tau_m dx/dt = -x (1 - x / X_T) - w + i + V s      the quadratic part above rest
    tau_w dw/dt = a x - w
    spike at x = 1:  x -= 1 - X_RESET,  w += b

`alpha = exp(-dt / tau_m)`, `beta = exp(-dt / tau_w)`. State order (x, w). Source: Izhikevich 2003,
its quadratic written between rest 0, threshold X_T and peak 1.
"""

from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.adlif import ADAPTATION_DECAY
from retempo.exporters.neurons.general import Ode, Range, Upswing, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY
from retempo.exporters.neurons.ode import ode_neuron, rate

X_T = 0.6
X_RESET = 0.0


def _ode(p: Mapping[str, Vector]) -> Ode:
    membrane, adaptation = rate(p["alpha"]), rate(p["beta"])
    return Ode(
        J=((-membrane, -membrane), (adaptation * p["a"], -adaptation)),
        input=(membrane, 0.0),
        recurrent=(membrane, 0.0),
        jump=(X_RESET - 1.0, p["b"]),
        upswing=(membrane, 0.0),
    )


def _phi(x: Vector) -> Vector:
    return x * x / X_T


def _slope(x: Vector) -> Vector:
    return 2.0 * x / X_T


IZHIKEVICH = ode_neuron(
    name="izhikevich",
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

RIZHIKEVICH = replace(IZHIKEVICH, name="rizhikevich", recurrent=True)
