"""How the basilar membrane answers a frequency: the shallow-water model.

Source: Sieroka, Dosch, Rupp, Semirealistic models of the cochlea, 2006, with the constants of
Cramer et al. 2020. Lengths in cm, masses in g.
"""

import cmath
import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.lauscher.bessel import hankel1

LENGTH = 3.5
_STIFFNESS = 1e8  # at the base, g / (s cm)^2
_RELEASE = 3_500.0  # what is taken off the stiffness everywhere
_TAPER = 3.0  # 1 / cm
_MASS = 0.05  # g / cm^2
_DAMPING = 0.15 * math.sqrt(_STIFFNESS * _MASS)  # at the base
_DEPTH = 0.1  # of the canal
_DENSITY = 1.0  # of its fluid

# Beyond its own note, from a millionth of its best answer on, a place counts as silent: what comes
# after stays below a hundred-thousandth.
_SILENT = 1e-6

Answers = NDArray[np.complex128]


def answer(place: float, rate_hz: int, entry: Answers) -> Answers:
    """The velocity at a place for a sound of unit amplitude at each frequency, `(size // 2 + 1,)`.

    With `xi = C e^(-ax) - c - m w^2 - i w R e^(-ax/2)` and `g = w sqrt(rho / (h xi))`, the pressure
    is `p(x) = sqrt(G / g) H_0(G)`, `G` being the phase `int_0^x g` and what comes before it, and
    the velocity `v = 2 w Z p(x) / (xi p(0))`. The published conversion sets the frequencies of its
    transform from 1 Hz up instead of from 0; so does this.

    Args:
        place: how far from the base, in cm.
        rate_hz: of the sound.
        entry: see `entry_of`; shape that of the result.
    """
    found = np.zeros(len(entry), np.complex128)
    _fill(place, rate_hz / 2.0, entry, found)
    return found


def entry_of(rate_hz: int, size: int) -> Answers:
    """What no place changes, `2 w Z / p(0)`, at frequency `k rate / size`, `(size // 2 + 1,)`."""
    entry = np.zeros(size // 2 + 1, np.complex128)
    _enter(rate_hz / 2.0, entry)
    return entry


@njit(cache=True, nogil=True)
def _frequency(k: int, last: int, half: float) -> float:  # pragma: no cover - compiled
    return 2.0 * math.pi * (1.0 + k * (half - 1.0) / last)


@njit(cache=True, nogil=True)
def _enter(half: float, entry: Any) -> None:  # pragma: no cover - compiled
    for k in range(len(entry)):
        w = _frequency(k, len(entry) - 1, half)
        entry[k] = 2.0 * w * _impedance(w) / _pressure(w, 0.0)


@njit(cache=True, nogil=True)
def _fill(place: float, half: float, entry: Any, found: Any) -> None:  # pragma: no cover - compiled
    best = 0.0
    for k in range(len(found)):
        w = _frequency(k, len(found) - 1, half)
        value = entry[k] * _pressure(w, place) / _xi(w, place)
        size = abs(value)
        best = max(best, size)
        if size < _SILENT * best:
            return
        found[k] = value


@njit(cache=True, nogil=True)
def _xi(w: float, x: float) -> Any:  # pragma: no cover - compiled
    stiff = _STIFFNESS * math.exp(-_TAPER * x) - _RELEASE - _MASS * w * w
    return stiff - 1j * w * _DAMPING * math.exp(-0.5 * _TAPER * x)


@njit(cache=True, nogil=True)
def _g(w: float, x: float) -> Any:  # pragma: no cover - compiled
    return w * cmath.sqrt(_DENSITY / (_DEPTH * _xi(w, x)))


@njit(cache=True, nogil=True)
def _pressure(w: float, x: float) -> Any:  # pragma: no cover - compiled
    phase = _phase(w, x)
    return cmath.sqrt(phase / _g(w, x)) * hankel1(0, phase)


@njit(cache=True, nogil=True)
def _phase(w: float, x: float) -> Any:  # pragma: no cover - compiled
    """`G(x)`: the integral of `g` in closed form."""
    q = math.sqrt(_RELEASE + _MASS * w * w)
    here = _end(w, x, q) * math.exp(0.5 * _TAPER * x)
    path = 2j * w / (_TAPER * math.sqrt(_DEPTH) * q) * cmath.log(_end(w, 0.0, q) / here)
    return 2.0 * _g(w, 0.0) / _TAPER - path


@njit(cache=True, nogil=True)
def _end(w: float, x: float, q: float) -> Any:  # pragma: no cover - compiled
    damping = 1j * w * _DAMPING * math.exp(-0.5 * _TAPER * x)
    inner = 1j * (2.0 * _RELEASE + 2.0 * _MASS * w * w + damping) / (2.0 * q)
    return _TAPER * (inner - cmath.sqrt(_xi(w, x)))


@njit(cache=True, nogil=True)
def _impedance(w: float) -> Any:  # pragma: no cover - compiled
    """Of the cochlea at the stapes: `i sqrt(2 C / h) (J_0 - i Y_0) / (J_1 - i Y_1)`."""
    argument = 2.0 * w / _TAPER * math.sqrt(2.0 / (_DEPTH * _STIFFNESS))
    ratio = hankel1(0, argument + 0.0j) / hankel1(1, argument + 0.0j)
    return 1j * math.sqrt(2.0 * _STIFFNESS / _DEPTH) * ratio.conjugate()
