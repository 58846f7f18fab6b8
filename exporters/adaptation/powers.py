"""Real powers of A and the gain of a held input, by eigenvalue, for every neuron at once.

A held input acts on the state through each of the small steps that a large one stands for:

    v[k + rho] = A^rho v[k] + Gamma u,    Gamma = (A^rho - I) (A - I)^-1 = phi(A)

with `phi(l) = (l^rho - 1) / (l - 1)`. Both are functions of a matrix. For two variables they follow
from their values at the two eigenvalues by Newton's interpolation, exact for every 2 x 2 matrix,
`f(A) = f(l1) I + f[l1, l2] (A - l1 I)`, so no eigenvector and no inverse is needed and a defective
matrix is no special case. An integer `rho` needs no eigenvalue: its power is a product, its gain a
sum of products.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.errors import UnfitError
from retempo.exporters.neurons.general import Array

Complex = NDArray[np.complex128]
Spectral = Callable[[Complex], Complex]

# A divided difference over a smaller relative gap would lose digits; it is integrated instead.
_CLOSE = 1e-2
_CONTOUR_POINTS = 64
_REAL = 1e-12


def power(A: Array, rho: float, layer: str = "layer") -> Array:
    """Return `A**rho`, shape `(n, n, neurons)`.

    Raises:
        UnfitError: `rho` is no integer, and an eigenvalue lies on the negative real axis or two are
            zero.
    """
    if _is_count(rho):
        return _power_and_sum(A, int(rho))[0]
    return _matrix_function(A, lambda eigenvalue: eigenvalue**rho, rho, layer)


def held_gain(A: Array, rho: float, layer: str = "layer") -> Array:
    """Return `Gamma = phi(A)`, shape `(n, n, neurons)`; at the eigenvalue 1 phi is `rho`.

    Raises:
        UnfitError: as `power`.
    """
    if _is_count(rho):
        return _power_and_sum(A, int(rho))[1]

    def phi(eigenvalue: Complex) -> Complex:
        distance = eigenvalue - 1.0
        at_one = distance == 0.0
        distance = np.where(at_one, 1.0, distance)
        # A zero eigenvalue has log1p(-1) = -inf, whose expm1 is the -1 that phi needs.
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = np.expm1(rho * np.log1p(distance)) / distance
        quotient = np.where(eigenvalue == 0.0, 1.0, quotient)
        return np.where(at_one, rho, quotient)

    return _matrix_function(A, phi, rho, layer)


def apply(matrix: Array, vector: Array) -> Array:
    """Return the product per neuron of `(n, n, neurons)` and `(n, neurons)`."""
    product: Array = np.einsum("ijk,jk->ik", matrix, vector)
    return product


def eigenvalues(A: Array) -> Complex:
    """Return the eigenvalues of each neuron, shape `(neurons, n)`."""
    return np.asarray(np.linalg.eigvals(np.moveaxis(A, -1, 0)), np.complex128)


def spectral_radius(A: Array) -> Array:
    """Return the largest eigenvalue magnitude of each neuron, shape `(neurons,)`."""
    radius: Array = np.abs(eigenvalues(A)).max(axis=-1)
    return radius


def sum_of_powers(A: Array, count: int) -> Array:
    """Return `I + A + ... + A^(count - 1)`, shape `(n, n, neurons)`."""
    return _power_and_sum(A, count)[1]


def _is_count(rho: float) -> bool:
    return float(rho).is_integer() and rho >= 0.0


def _power_and_sum(A: Array, count: int) -> tuple[Array, Array]:
    """`A^count` and `I + ... + A^(count-1)` by doubling: S(2n) = S(n) (I + A^n)."""
    matrices = np.moveaxis(A, -1, 0)
    identity = np.broadcast_to(np.eye(A.shape[0]), matrices.shape)
    powered, total = identity, np.zeros_like(matrices)
    for digit in f"{count:b}":
        total, powered = total @ (identity + powered), powered @ powered
        if digit == "1":
            total, powered = identity + matrices @ total, matrices @ powered
    return np.moveaxis(powered, 0, -1), np.moveaxis(total, 0, -1)


def _matrix_function(A: Array, f: Spectral, rho: float, layer: str) -> Array:
    values = eigenvalues(A)
    _refuse_negative(values, rho, layer)
    variables = A.shape[0]
    if variables == 1:
        return np.real(f(values.T))[np.newaxis]
    if variables == 2:
        return _two(A, f, values[:, 0], values[:, 1], rho, layer)
    return _many(A, f, layer)


def _two(A: Array, f: Spectral, first: Complex, second: Complex, rho: float, layer: str) -> Array:
    centre = (first + second) / 2
    # A circle that reaches the negative axis would cross the cut of l^rho; there the two are a
    # complex pair, which lies apart.
    close = (np.abs(first - second) <= _CLOSE * np.abs(centre)) & (centre.real >= 0.0)
    slope = np.empty_like(first)
    apart = ~close
    slope[apart] = (f(first[apart]) - f(second[apart])) / (first[apart] - second[apart])
    slope[close] = _contour_slope(f, first[close], second[close], rho, layer)
    identity = np.eye(2)[:, :, np.newaxis]
    return np.real(f(first) * identity + slope * (A - first * identity))


def _contour_slope(f: Spectral, first: Complex, second: Complex, rho: float, layer: str) -> Complex:
    """`f[l1, l2]` by Cauchy's formula on a circle round both, exact however close they are."""
    centre = (first + second) / 2
    if (np.abs(centre) < _REAL).any():
        raise UnfitError(
            f"{layer} has a neuron whose two eigenvalues are zero: it has no real power; "
            "give it a memory, or remove it"
        )
    turn = np.exp(2j * np.pi * np.arange(_CONTOUR_POINTS) / _CONTOUR_POINTS)[:, np.newaxis]
    # l^rho grows as e^(rho * radius) round the circle: a large power takes a small one, which still
    # goes round both eigenvalues.
    arm = turn * np.abs(centre) * min(0.5, max(2.0 * _CLOSE, 1.0 / rho))
    around = centre + arm
    slopes: Complex = (f(around) * arm / ((around - first) * (around - second))).mean(axis=0)
    return slopes


def _many(A: Array, f: Spectral, layer: str) -> Array:
    values, vectors = np.linalg.eig(np.moveaxis(A, -1, 0))
    if (np.linalg.cond(vectors) > 1e8).any():
        raise UnfitError(
            f"{layer} has a neuron of {A.shape[0]} variables whose eigenvectors are almost "
            "parallel: its power cannot be computed to float64 accuracy; perturb its time constants"
        )
    scaled = vectors * f(values.astype(np.complex128))[:, np.newaxis, :]
    return np.moveaxis(np.real(scaled @ np.linalg.inv(vectors)), 0, -1)


def _refuse_negative(values: Complex, rho: float, layer: str) -> None:
    negative = (np.abs(values.imag) <= _REAL * np.abs(values)) & (values.real < 0.0)
    if negative.any():
        neuron = int(np.flatnonzero(negative.any(axis=1))[0])
        worst = float(values[neuron].real.min())
        raise UnfitError(
            f"{layer}, neuron {neuron}: eigenvalue {worst:.6g} lies on the negative real axis and "
            f"has no real power {rho:g}; use the method none or tau, or an integer ratio"
        )
