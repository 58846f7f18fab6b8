"""Adaptive leaky integrate-and-fire, with and without recurrence.

    w = beta w + a u + b s
    u = alpha (u - s) + (1 - alpha) (i + V s - w)      with the w just computed

Source: sparch (Bittar and Garner 2022), adLIF and RadLIF; state order (u, w).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.general import Groups, Neuron, Range, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY

ADAPTATION_DECAY = Range(math.exp(-1 / 30), math.exp(-1 / 120))


def _groups(p: Mapping[str, Vector]) -> Groups:
    alpha, beta, a, b = p["alpha"], p["beta"], p["a"], p["b"]
    g = 1.0 - alpha
    A = ((alpha - g * a, -g * beta), (a, beta))
    return Groups(A, (-(alpha + g * b), b), (g, 0.0), (g, 0.0))


ADLIF = Neuron(
    name="adlif",
    variables=2,
    parameters={
        "alpha": MEMBRANE_DECAY,
        "beta": ADAPTATION_DECAY,
        "a": Range(-1.0, 1.0),
        "b": Range(0.0, 2.0),
    },
    decays=("alpha", "beta"),
    groups=_groups,
)

RADLIF = replace(ADLIF, name="radlif", recurrent=True)
