"""Euler: the source step read as a forward difference and taken over another length.

`A - I` is one source step of change, so `rho` of it is one target step, `A_T = I + rho (A - I)`,
and the input groups are `rho` times theirs. First order in `rho`. Source: arXiv 2411.04760, the
Euler method.
"""

import numpy as np

from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.neurons import Coefficients, source_coefficients


def _adapt(layer: Layer, rho: float) -> Coefficients:
    source = source_coefficients(layer.neuron, layer.parameters)
    identity = np.eye(source.variables)[:, :, np.newaxis]
    return Coefficients(
        A=identity + rho * (source.A - identity),
        R=rho * source.R,
        F=rho * source.F,
        G=rho * source.G,
    )


EULER = Method(name="euler", adapt=_adapt)
