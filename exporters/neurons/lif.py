"""Leaky integrate-and-fire: u = alpha (u - s) + (1 - alpha) (i + V s).

Source: sparch (Bittar and Garner, A surrogate gradient spiking baseline for speech command
recognition, 2022), LIF and RLIF.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.general import Groups, Neuron, Range, Vector

MEMBRANE_DECAY = Range(math.exp(-1 / 5), math.exp(-1 / 25))


def _groups(p: Mapping[str, Vector]) -> Groups:
    alpha = p["alpha"]
    g = 1.0 - alpha
    return Groups(((alpha,),), (-alpha,), (g,), (g,))


LIF = Neuron(
    name="lif",
    variables=1,
    parameters={"alpha": MEMBRANE_DECAY},
    decays=("alpha",),
    groups=_groups,
)

RLIF = replace(LIF, name="rlif", recurrent=True)
