"""Euler: the source step read as a forward difference and taken over another length.

`A - I` is one source step of change, so `rho` of it is one target step, `A_T = I + rho (A - I)`,
and the input groups are `rho` times theirs. First order in `rho`. A neuron that is given by its
differential equation is stepped by that, `I + rho J`, at the source's own step too. Source: arXiv
2411.04760, the Euler method.
"""

import numpy as np

from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.neurons import Coefficients, source_coefficients
from retempo.exporters.neurons.general import check_parameters, stack_groups
from retempo.exporters.neurons.ode import euler_step


def _adapt(layer: Layer, rho: float) -> Coefficients:
    if layer.neuron.ode is not None:
        values = check_parameters(layer.neuron, layer.parameters)
        step = euler_step(layer.neuron.ode(values), rho)
        return stack_groups(step, len(next(iter(values.values()))))
    source = source_coefficients(layer.neuron, layer.parameters)
    identity = np.eye(source.variables)[:, :, np.newaxis]
    return Coefficients(
        A=identity + rho * (source.A - identity),
        R=rho * source.R,
        F=rho * source.F,
        G=rho * source.G,
    )


EULER = Method(name="euler", adapt=_adapt)
