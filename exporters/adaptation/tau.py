"""Time-constant scaling: every decay factor to the power rho, the neuron's formulas as they are.

`alpha = exp(-dt / tau)` becomes `alpha**rho`, `beta` likewise, and A, R, F, G are built from them
anew; `a` and `b` stay. This is what rescaling the time constants of a framework's neuron does, and
the reference that the paper compares with. It forgets that the coupling of the two variables was
fitted a step of the source at a time.
"""

import numpy as np

from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.errors import UnfitError
from retempo.exporters.neurons import Coefficients, source_coefficients


def _adapt(layer: Layer, rho: float) -> Coefficients:
    for name in layer.neuron.decays:
        values = layer.parameters[name]
        if np.min(values) < 0.0 and not float(rho).is_integer():
            raise UnfitError(
                f"{layer.name}, neuron {int(np.argmin(values))}: {name} is {np.min(values):.6g}, "
                f"which has no real power {rho:g}; use the method none, or an integer ratio"
            )
    moved = {
        name: values**rho if name in layer.neuron.decays else values
        for name, values in layer.parameters.items()
    }
    return source_coefficients(layer.neuron, moved)


TAU = Method(name="tau", adapt=_adapt)
