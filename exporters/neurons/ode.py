"""A neuron given by its differential equation, and the step that follows from it.

With the inputs and `phi(x)` held through a step of length 1, the equation of `Ode` has the exact
solution

    A = exp(J) = I + J Phi,    Phi = integral of exp(J t) dt from 0 to 1
    R = A jump,    F = Phi input,    G = Phi recurrent,    N = Phi upswing

so only the upswing is approximated: it is that of the step's beginning. `Phi` is a Taylor series at
1/64 of the step, doubled six times by `Phi(2h) = Phi(h) (2 I + J Phi(h))`: plain arithmetic, so
that torch differentiates it. In float64 it is exact to 1e-12 where the entries of J are below 1, as
they are at every source step.
"""

from collections.abc import Callable, Mapping

import numpy as np

from retempo.exporters.neurons.general import (
    Groups,
    MatrixTuple,
    Neuron,
    Ode,
    Range,
    Upswing,
    Vector,
    VectorTuple,
)

_DOUBLINGS = 6
_TERMS = 7


def ode_neuron(
    name: str,
    parameters: Mapping[str, Range],
    decays: tuple[str, ...],
    ode: Callable[[Mapping[str, Vector]], Ode],
    upswing: Upswing,
) -> Neuron:
    """Return the neuron of two variables that obeys an equation between its spikes."""
    return Neuron(
        name=name,
        variables=2,
        parameters=parameters,
        decays=decays,
        groups=lambda p: exact_step(ode(p)),
        ode=ode,
        upswing=upswing,
    )


def rate(decay: Vector) -> Vector:
    """Return `dt / tau` of a decay factor `exp(-dt / tau)`, an array's or a tensor's."""
    return -(decay.log() if hasattr(decay, "log") else np.log(decay))


def exact_step(ode: Ode) -> Groups:
    """Return the groups of one source step, exact but for the held upswing."""
    phi = _held(ode.J)
    A = _plus_identity(1.0, _product(ode.J, phi))
    return Groups(
        A=A,
        R=_apply(A, ode.jump),
        F=_apply(phi, ode.input),
        G=_apply(phi, ode.recurrent),
        N=_apply(phi, ode.upswing),
    )


def euler_step(ode: Ode, rho: float) -> Groups:
    """Return the groups of Euler's forward step of `rho` source steps."""
    A = _plus_identity(1.0, _scaled(rho, ode.J))
    return Groups(
        A=A,
        R=_apply(A, ode.jump),
        F=tuple(rho * entry for entry in ode.input),
        G=tuple(rho * entry for entry in ode.recurrent),
        N=tuple(rho * entry for entry in ode.upswing),
    )


def _held(J: MatrixTuple) -> MatrixTuple:
    """The integral of `exp(J t)` over one step."""
    length = 0.5**_DOUBLINGS
    n = len(J)
    series: MatrixTuple = tuple(tuple(float(i == j) for j in range(n)) for i in range(n))
    for term in range(_TERMS, 1, -1):
        series = _plus_identity(1.0, _scaled(length / term, _product(J, series)))
    phi = _scaled(length, series)
    for _ in range(_DOUBLINGS):
        phi = _product(phi, _plus_identity(2.0, _product(J, phi)))
    return phi


def _product(left: MatrixTuple, right: MatrixTuple) -> MatrixTuple:
    return tuple(_apply_row(row, right) for row in left)


def _apply_row(row: VectorTuple, right: MatrixTuple) -> VectorTuple:
    return tuple(
        sum(entry * other[j] for entry, other in zip(row, right, strict=True))
        for j in range(len(right[0]))
    )


def _apply(matrix: MatrixTuple, vector: VectorTuple) -> VectorTuple:
    return tuple(
        sum(entry * value for entry, value in zip(row, vector, strict=True)) for row in matrix
    )


def _scaled(factor: float, matrix: MatrixTuple) -> MatrixTuple:
    return tuple(tuple(factor * entry for entry in row) for row in matrix)


def _plus_identity(weight: float, matrix: MatrixTuple) -> MatrixTuple:
    return tuple(
        tuple(entry + weight if i == j else entry for j, entry in enumerate(row))
        for i, row in enumerate(matrix)
    )
