"""Leaky readout: u = alpha u + (1 - alpha) i, no threshold and no reset.

Source: sparch (Bittar and Garner 2022), readout layer.
"""

from collections.abc import Mapping

from retempo.exporters.neurons.general import Groups, Neuron, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY


def _groups(p: Mapping[str, Vector]) -> Groups:
    alpha = p["alpha"]
    return Groups(((alpha,),), (0.0,), (1.0 - alpha,), (0.0,))


LEAKY_READOUT = Neuron(
    name="leaky_readout",
    variables=1,
    parameters={"alpha": MEMBRANE_DECAY},
    decays=("alpha",),
    groups=_groups,
    spiking=False,
)
