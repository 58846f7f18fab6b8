"""The general neuron: linear dynamics, for some neurons an upswing, and a threshold.

Every layer of every network is this one equation with other coefficients:

    v[k] = A v[k-1] + R s[k-1] + F i[k] + G (V s)[k-1] + N phi(min(max(v_0[k-1], 0), threshold))
    s[k] = 1[v_0[k] > threshold]
    i[k] = gain * (W in[k]) + bias

A linear neuron has no `phi` and no `N`. Source: arXiv 2411.04760, section 3 (there H^v, H^s, H^f,
H^r) for the linear terms; the upswing is ours, see docs/adaptation.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.errors import NetworkError

Array = NDArray[np.float64]

# A torch tensor in training, a float64 array everywhere else: the formulas of a neuron are plain
# arithmetic, so that both rooms share one text of them.
Vector = Any
VectorTuple = tuple[Vector, ...]
MatrixTuple = tuple[VectorTuple, ...]


class Groups(NamedTuple):
    """A and the input groups of a layer, as nested tuples of per-neuron vectors."""

    A: MatrixTuple
    R: VectorTuple
    F: VectorTuple
    G: VectorTuple
    N: VectorTuple | None = None


class Ode(NamedTuple):
    """The differential equation of a neuron, time in source steps, rest at 0.

        dv/dt = J v + input i + recurrent (V s) + upswing phi(v_0),    v += jump at a spike

    Nested tuples of per-neuron vectors or numbers. `J` is the Jacobian at rest.
    """

    J: MatrixTuple
    input: VectorTuple
    recurrent: VectorTuple
    jump: VectorTuple
    upswing: VectorTuple


@dataclass(frozen=True, slots=True)
class Range:
    """The interval that a parameter is drawn from and projected into in training."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Upswing:
    """The nonlinear part of a membrane's motion: `value(x)` and its derivative `slope(x)`.

    Both are plain arithmetic of one number, with `math.e ** z` for an exponential: floats, NumPy,
    torch, Numba and the graph's tracer run the same text. Both are 0 at rest, `x = 0`. They act
    between rest and threshold: a real neuron is cut off at its peak, and below rest, where a step
    could leap over it, the linear part alone holds.
    """

    value: Callable[[Vector], Vector]
    slope: Callable[[Vector], Vector]


@dataclass(frozen=True, slots=True)
class Neuron:
    """A neuron model as data: what it stores and how that becomes A, R, F and G.

    `groups` maps the parameters to A, R, F and G, with plain arithmetic only; state variable 0 is
    the membrane. `decays` names the parameters that are a decay factor a step, `exp(-dt / tau)`. A
    neuron that does not spike is a readout: it never resets. `ode` and `upswing` are those of a
    nonlinear neuron; `exporters.neurons.ode.ode_neuron` makes one.
    """

    name: str
    variables: int
    parameters: Mapping[str, Range]
    decays: tuple[str, ...]
    groups: Callable[[Mapping[str, Vector]], Groups]
    recurrent: bool = False
    spiking: bool = True
    ode: Callable[[Mapping[str, Vector]], Ode] | None = None
    upswing: Upswing | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """A, R, F, G and, of a nonlinear neuron, N of one layer at one resolution, float64.

    Shapes: `A` is `(variables, variables, neurons)`; the others are `(variables, neurons)`.
    """

    A: Array
    R: Array
    F: Array
    G: Array
    N: Array | None = None

    @property
    def variables(self) -> int:
        """How many state variables a neuron has."""
        return int(self.A.shape[0])

    @property
    def neurons(self) -> int:
        """How many neurons the layer has."""
        return int(self.A.shape[-1])


def source_coefficients(neuron: Neuron, parameters: Mapping[str, Array]) -> Coefficients:
    """Return the coefficients of a layer at the resolution that it was trained at.

    Args:
        neuron: the model.
        parameters: one `(neurons,)` vector a parameter of the model.

    Raises:
        NetworkError: a parameter is missing, unknown, not finite, of another length, or a decay
            that no differential equation has.
    """
    values = check_parameters(neuron, parameters)
    return stack_groups(neuron.groups(values), len(next(iter(values.values()))))


def stack_groups(groups: Groups, neurons: int) -> Coefficients:
    """Return groups of vectors and numbers as arrays."""
    return Coefficients(
        A=np.array([stack_row(entries, neurons) for entries in groups.A]),
        R=stack_row(groups.R, neurons),
        F=stack_row(groups.F, neurons),
        G=stack_row(groups.G, neurons),
        N=None if groups.N is None else stack_row(groups.N, neurons),
    )


def stack_row(entries: VectorTuple, neurons: int) -> Array:
    """Return one group of vectors and numbers as an array."""
    return np.array([np.broadcast_to(np.asarray(e, np.float64), (neurons,)) for e in entries])


def check_parameters(neuron: Neuron, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters of a layer as float64.

    Raises:
        NetworkError: as `source_coefficients`.
    """
    if set(parameters) != set(neuron.parameters):
        raise NetworkError(
            f"a {neuron.name} layer has the parameters {', '.join(sorted(neuron.parameters))}; "
            f"got {', '.join(sorted(parameters)) or 'none'}"
        )
    shapes = {name: np.shape(values) for name, values in parameters.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 1:
        raise NetworkError(f"the parameters of a {neuron.name} layer differ in shape: {shapes}")
    for name, values in parameters.items():
        if not np.isfinite(values).all():
            raise NetworkError(f"parameter {name} of a {neuron.name} layer is not finite")
        if neuron.ode is not None and name in neuron.decays and np.min(values) <= 0.0:
            raise NetworkError(
                f"parameter {name} of a {neuron.name} layer is {np.min(values):g}; a decay "
                "exp(-dt / tau) is positive"
            )
    return {name: np.asarray(parameters[name], np.float64) for name in neuron.parameters}
