"""The general neuron: linear dynamics plus a threshold.

Every layer of every network is this one equation with other coefficients:

    v[k] = A v[k-1] + R s[k-1] + F i[k] + G (V s)[k-1]
    s[k] = 1[v_0[k] > threshold]
    i[k] = gain * (W in[k]) + bias

Source: arXiv 2411.04760, section 3 (there H^v, H^s, H^f, H^r).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.errors import NetworkError

Array = NDArray[np.float64]

# A torch tensor in training, a float64 array everywhere else: the formulas of a neuron are plain
# arithmetic, so that both rooms share one text of them.
Vector = Any
Groups = tuple[
    tuple[tuple[Vector, ...], ...], tuple[Vector, ...], tuple[Vector, ...], tuple[Vector, ...]
]


@dataclass(frozen=True, slots=True)
class Range:
    """The interval that a parameter is drawn from and clamped to in training."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Neuron:
    """A neuron model as data: what it stores and how that becomes A, R, F and G.

    `groups` maps the parameters to `(A, R, F, G)` as nested tuples of per-neuron vectors, with
    plain arithmetic only. `decays` names the parameters that are a decay factor a step,
    `exp(-dt / tau)`. A neuron that does not spike is a readout: it never resets.
    """

    name: str
    variables: int
    parameters: Mapping[str, Range]
    decays: tuple[str, ...]
    groups: Callable[[Mapping[str, Vector]], Groups]
    recurrent: bool = False
    spiking: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """A, R, F and G of one layer at one resolution, float64.

    Shapes: `A` is `(variables, variables, neurons)`; `R`, `F`, `G` are `(variables, neurons)`.
    """

    A: Array
    R: Array
    F: Array
    G: Array

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
        NetworkError: a parameter is missing, unknown, not finite or of another length.
    """
    _check(neuron, parameters)
    values = {name: np.asarray(parameters[name], np.float64) for name in neuron.parameters}
    neurons = len(next(iter(values.values())))
    A, R, F, G = neuron.groups(values)
    return Coefficients(
        A=np.array([[_full(entry, neurons) for entry in row] for row in A]),
        R=np.array([_full(entry, neurons) for entry in R]),
        F=np.array([_full(entry, neurons) for entry in F]),
        G=np.array([_full(entry, neurons) for entry in G]),
    )


def _full(entry: Vector, neurons: int) -> Array:
    return np.broadcast_to(np.asarray(entry, np.float64), (neurons,))


def _check(neuron: Neuron, parameters: Mapping[str, Array]) -> None:
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
