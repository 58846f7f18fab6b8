"""Current-based leaky integrate-and-fire, with and without recurrence.

    I = beta I + (1 - beta) (i + V s)
    u = alpha (u - s) + (1 - alpha) I      with the I just computed

The synapse is a leaky integrator of its own, so a spike arrives as a current that rises and decays.
State order (u, I).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.general import Groups, Neuron, Range, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY

# A synapse is faster than the membrane that it feeds.
SYNAPSE_DECAY = Range(math.exp(-1 / 2), math.exp(-1 / 10))


def _groups(p: Mapping[str, Vector]) -> Groups:
    alpha, beta = p["alpha"], p["beta"]
    g, h = 1.0 - alpha, 1.0 - beta
    A = ((alpha, g * beta), (0.0, beta))
    return Groups(A, (-alpha, 0.0), (g * h, h), (g * h, h))


CUBALIF = Neuron(
    name="cubalif",
    variables=2,
    parameters={"alpha": MEMBRANE_DECAY, "beta": SYNAPSE_DECAY},
    decays=("alpha", "beta"),
    groups=_groups,
)

RCUBALIF = replace(CUBALIF, name="rcubalif", recurrent=True)
