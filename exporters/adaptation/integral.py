"""Integral: the exact solution of the source dynamics over the target step, inputs held.

`A_T = A^rho` and each input group is multiplied by `Gamma = (A^rho - I)(A - I)^-1`, the sum that a
constant input leaves behind. With a constant input below the threshold, `1 / rho` target steps end
exactly where one source step ends. Source: arXiv 2411.04760 for `A^rho`; the groups are derived in
docs/adaptation.md.
"""

from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.adaptation.powers import apply, held_gain, power
from retempo.exporters.neurons import Coefficients, source_coefficients


def adapt(layer: Layer, rho: float) -> Coefficients:
    """Return `A^rho` and `Gamma` times each input group."""
    source = source_coefficients(layer.neuron, layer.parameters)
    gamma = held_gain(source.A, rho, layer.name)
    return Coefficients(
        A=power(source.A, rho, layer.name),
        R=apply(gamma, source.R),
        F=apply(gamma, source.F),
        G=apply(gamma, source.G),
    )


INTEGRAL = Method(name="integral", adapt=adapt)
