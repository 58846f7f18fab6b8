"""No adaptation: the coefficients of the source, at whatever step. The lower yardstick."""

from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.neurons import Coefficients, source_coefficients


def _adapt(layer: Layer, rho: float) -> Coefficients:
    del rho
    return source_coefficients(layer.neuron, layer.parameters)


NONE = Method(name="none", adapt=_adapt, normalisation="none")
