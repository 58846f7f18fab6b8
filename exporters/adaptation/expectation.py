"""Expectation: what the source steps do on average, without an inverse of A - I.

For an integer `rho` the input groups are multiplied by `I + A + ... + A^(rho - 1)`: the state after
`rho` source steps under an input that stays at its mean. For an integer `1 / rho` the relation is
read the other way round, and between them the power of the eigenvalues takes over. It equals
`integral` wherever both exist, to rounding; a perfect integrator (eigenvalue 1) is no special case.
Source: the idea is of arXiv 2411.04760, the fractional form is derived in docs/adaptation.md.
"""

from functools import partial

import numpy as np

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.method import Method, inner_steps
from retempo.exporters.adaptation.powers import held_gain, power, sum_of_powers
from retempo.exporters.neurons.general import Array


def _mean_gain(source: Array, rho: float, layer: str) -> Array:
    if rho >= 1.0 and float(rho).is_integer():
        return sum_of_powers(source, int(rho))
    if rho < 1.0 and abs(1.0 / rho - round(1.0 / rho)) < 1e-9:
        total = np.moveaxis(sum_of_powers(power(source, rho, layer), round(1.0 / rho)), -1, 0)
        inverse: Array = np.linalg.inv(total).astype(np.float64)
        return np.moveaxis(inverse, 0, -1)
    return held_gain(source, rho, layer)


EXPECTATION = Method(
    name="expectation", adapt=partial(adapt_exactly, gain=_mean_gain), nonlinear=inner_steps
)
