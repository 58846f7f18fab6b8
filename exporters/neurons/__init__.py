"""The neuron models: one file a model, one line in this registry."""

from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons.adex import ADEX, RADEX
from retempo.exporters.neurons.adlif import ADLIF, RADLIF
from retempo.exporters.neurons.cubalif import CUBALIF, RCUBALIF
from retempo.exporters.neurons.general import Coefficients, Neuron, Range, source_coefficients
from retempo.exporters.neurons.izhikevich import IZHIKEVICH, RIZHIKEVICH
from retempo.exporters.neurons.leaky_readout import LEAKY_READOUT
from retempo.exporters.neurons.lif import LIF, RLIF
from retempo.exporters.neurons.se_adlif import SE_ADLIF, SE_RADLIF

__all__ = ["NEURONS", "Coefficients", "Neuron", "Range", "neuron_named", "source_coefficients"]

NEURONS = {
    neuron.name: neuron
    for neuron in (
        *(LIF, RLIF),
        *(CUBALIF, RCUBALIF),
        *(ADLIF, RADLIF),
        *(SE_ADLIF, SE_RADLIF),
        *(ADEX, RADEX),
        *(IZHIKEVICH, RIZHIKEVICH),
        LEAKY_READOUT,
    )
}


def neuron_named(name: str) -> Neuron:
    """Return the neuron model of that name.

    Raises:
        NetworkError: there is none.
    """
    if name not in NEURONS:
        raise NetworkError(f"unknown neuron {name!r}; known are {', '.join(sorted(NEURONS))}")
    return NEURONS[name]
