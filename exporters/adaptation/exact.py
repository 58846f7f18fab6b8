"""The exact solution of the source dynamics over another time step.

`A_T = A^rho`. An input group that is held acts through the whole step and is multiplied by
`Gamma = (A^rho - I)(A - I)^-1`, the sum that a constant input leaves behind; one that is an impulse
keeps its charge whatever the step: where the neuron is given by its equation, its reset is `A_T`
times the jump. The upswing of a nonlinear neuron is always held. The methods `integral`, `impulse`,
`lag` and `substep` are choices of which is which, and of when the spikes are read.
"""

from collections.abc import Callable, Collection

from retempo.exporters.adaptation.method import Layer
from retempo.exporters.adaptation.powers import apply, held_gain, power
from retempo.exporters.neurons import Coefficients, source_coefficients
from retempo.exporters.neurons.general import Array, check_parameters, stack_row

GROUPS = ("R", "F", "G")


def adapt_exactly(
    layer: Layer,
    rho: float,
    held: Collection[str] = GROUPS,
    gain: Callable[[Array, float, str], Array] = held_gain,
) -> Coefficients:
    """Return `A^rho`, `Gamma` times each held input group, and the other groups as they are.

    `gain(A, rho, name of the layer)` computes `Gamma`.

    Raises:
        UnfitError: A has no real power `rho`.
    """
    source = source_coefficients(layer.neuron, layer.parameters)
    gamma = gain(source.A, rho, layer.name)
    moved = {
        name: apply(gamma, getattr(source, name)) if name in held else getattr(source, name)
        for name in GROUPS
    }
    A = power(source.A, rho, layer.name)
    if "R" not in held and layer.neuron.ode is not None:
        # An equation says by how much a spike jumps, and the step takes the jump along.
        jump = layer.neuron.ode(check_parameters(layer.neuron, layer.parameters)).jump
        moved["R"] = apply(A, stack_row(jump, source.neurons))
    # The upswing moves the membrane at a rate, so it is a current whatever the method.
    N = None if source.N is None else apply(gamma, source.N)
    return Coefficients(A=A, **moved, N=N)
