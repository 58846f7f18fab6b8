"""Hankel functions of the first kind, compiled, for arguments off the real axis.

The core has no scipy; the tests hold this against it.
"""

import math
from typing import Any

from numba import njit

# From here on the asymptotic series is more exact than the power series (both to 1e-10).
_FAR = 12.0
_EULER = 0.5772156649015329
_TERMS = 60


@njit(cache=True, nogil=True)
def hankel1(order: int, z: complex) -> Any:  # pragma: no cover - compiled
    """`H_0` or `H_1` of the first kind, `J + iY`, for `-pi/2 < arg z < pi`.

    Source: Abramowitz and Stegun, 9.1.10 to 9.1.13 and 9.2.7.
    """
    return _far(order, z) if abs(z) >= _FAR else _near(order, z)


@njit(cache=True, nogil=True)
def _near(order: int, z: complex) -> Any:  # pragma: no cover - compiled
    quarter = -0.25 * z * z
    term = 1.0 + 0.0j if order == 0 else 0.5 * z
    # The digammas of k + 1 and of k + order + 1, together.
    digammas = -2.0 * _EULER + order
    first, second = 0.0j, 0.0j
    for k in range(_TERMS):
        first += term
        second += digammas * term
        term *= quarter / ((k + 1.0) * (k + 1.0 + order))
        digammas += 1.0 / (k + 1.0) + 1.0 / (k + 1.0 + order)
        if abs(term) * abs(digammas) < 1e-18 * abs(first):
            break
    y = (2.0 * (_log(0.5 * z)) * first - second) / math.pi
    if order == 1:
        y -= 2.0 / (math.pi * z)
    return first + 1j * y


@njit(cache=True, nogil=True)
def _far(order: int, z: complex) -> Any:  # pragma: no cover - compiled
    total, term, size = 0.0j, 1.0 + 0.0j, math.inf
    square = 4.0 * order * order
    for k in range(_TERMS):
        if abs(term) >= size or abs(term) < 1e-18:
            break
        size = abs(term)
        total += term
        odd = 2.0 * k + 1.0
        term *= 1j * (square - odd * odd) / ((k + 1.0) * 8.0 * z)
    angle = z - (0.5 * order + 0.25) * math.pi
    size = math.exp(-angle.imag)
    wave = size * math.cos(angle.real) + 1j * size * math.sin(angle.real)
    return (2.0 / (math.pi * z)) ** 0.5 * wave * total


@njit(cache=True, nogil=True)
def _log(z: complex) -> Any:  # pragma: no cover - compiled
    return math.log(abs(z)) + 1j * math.atan2(z.imag, z.real)
