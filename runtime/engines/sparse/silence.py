"""Silence in closed form: whether a layer left to itself can fire, and where it is after `n` steps.

Without input and without spikes a linear neuron is `v[k] = A v[k-1] + c` with `c = F bias`. Its
membrane is the fixed point plus what the eigenvalues of `A` make of the distance to it, which
bounds it for all times; its value comes from `A^1, A^2, A^4, ...`, each with the sum of `c` that
belongs to it, so that an eigenvalue of 1 needs no case of its own.

Both are computed in float64 from the float32 coefficients that the steps have.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.arena import (
    A00,
    A01,
    A10,
    A11,
    AWAKE,
    BOUNDS,
    C0,
    C1,
    FIRST,
    FIXED,
    KIND,
    LEVELS,
    LIMIT,
    MOTION,
    SECOND,
    SILENT,
    SLEPT,
    Doubles,
    bounds_of,
    layers_of,
    powers_of,
    rest_of,
    values_of,
)
from retempo.runtime.engines.sparse.products import jit
from retempo.runtime.engines.sparse.program import (
    COEFFICIENTS_AT,
    NEURONS,
    SPIKES_AT,
    SPIKING,
    STATE_AT,
    UPSWING,
    VARIABLES,
    Floats,
    Program,
    Table,
)

# The most inner steps slept at once; the powers of `A` reach as far.
LONGEST = (1 << (LEVELS - 1)) - 1

# How a neuron's membrane goes: it is not known; one decay; two; an oscillation; a decay and a
# steady drift.
UNKNOWN, ONE, TWO, TURNING, DRIFTING = range(5)

# What float32 steps may differ from the closed form is far below: a neuron nearer to its threshold
# is stepped.
_MARGIN = 1e-3
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
_UNIT = 1e-9
# Eigenvalues that lie nearer are told apart by as much.
_APART = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What silence does to the spiking neurons of a program at one resolution.

    Shapes: `bounds` `(BOUNDS, spiking)`: what `settles` needs; `powers` `(LEVELS, MOTION,
    spiking)`: `A` and `c` of 1, 2, 4, ... steps.
    """

    bounds: Doubles
    powers: Doubles


def is_restful(program: Program) -> bool:
    """Return whether silence has a closed form: no neuron has an upswing."""
    hidden = program.layers[:, SPIKING] == 1
    few = program.layers[hidden, VARIABLES] <= 2
    return bool(hidden.any() and few.all() and not program.layers[:, UPSWING].any())


def plan_of(program: Program, coefficients: Floats) -> Plan:
    """Plan the silence of a program that `is_restful`."""
    powers = np.zeros((LEVELS, MOTION, program.spiking))
    bounds = np.zeros((BOUNDS, program.spiking))
    for row in program.layers[program.layers[:, SPIKING] == 1]:
        part = slice(int(row[SPIKES_AT]), int(row[SPIKES_AT] + row[NEURONS]))
        threshold = _motion_of(row, coefficients, powers[0, :, part])
        bounds[:, part] = _bounds_of(powers[0, :, part], int(row[VARIABLES]), threshold)
    for level in range(1, LEVELS):
        # What grows without bound is never slept through; NumPy need not warn of it.
        with np.errstate(all="ignore"):
            powers[level] = _twice(powers[level - 1])
    return Plan(bounds, powers)


def _motion_of(row: Table, coefficients: Floats, motion: Doubles) -> Doubles:
    """Write `A` and `c` of a layer; returns its thresholds."""
    n, variables = int(row[NEURONS]), int(row[VARIABLES])
    square, at = variables * variables, int(row[COEFFICIENTS_AT])
    rows = coefficients[at : at + (square + 4 * variables + 1) * n].reshape(-1, n)
    A = rows[:square].reshape(variables, variables, n)
    motion[[A00, A01, A10, A11]] = 0.0
    motion[A00] = A[0, 0]
    motion[C0] = rows[square + variables]
    if variables == 2:
        motion[A01], motion[A10], motion[A11] = A[0, 1], A[1, 0], A[1, 1]
        motion[C1] = rows[square + variables + 1]
    return np.asarray(rows[square + 4 * variables], np.float64)


def _twice(motion: Doubles) -> Doubles:
    """Return the motion of twice as many steps."""
    a, b, c, d, e, f = motion
    return np.stack(
        [
            a * a + b * c,
            a * b + b * d,
            c * a + d * c,
            c * b + d * d,
            a * e + b * f + e,
            c * e + d * f + f,
        ]
    )


def _bounds_of(motion: Doubles, variables: int, threshold: Doubles) -> Doubles:
    a, b, c, d, e, f = motion
    limit = threshold - _MARGIN * np.maximum(1.0, np.abs(threshold))
    with np.errstate(all="ignore"):
        if variables == 1:
            radius, fixed = np.abs(a), e / (1.0 - a)
            kind = np.where(a == 1.0, DRIFTING, np.where(radius < 1.0, ONE, UNKNOWN))
            first, second = a, np.zeros_like(a)
        else:
            half, determinant = (a + d) / 2.0, a * d - b * c
            root = half * half - determinant
            # A pair that rounding cannot tell apart is taken for two real ones.
            turning = root < -(_APART**2)
            apart = np.maximum(np.sqrt(np.maximum(root, 0.0)), _APART / 2.0)
            first = np.where(turning, half, half + apart)
            second = np.where(turning, np.sqrt(np.maximum(-root, 0.0)), half - apart)
            radius = np.where(
                turning, np.hypot(first, second), np.maximum(np.abs(first), np.abs(second))
            )
            fixed = ((1.0 - d) * e + b * f) / ((1.0 - a) * (1.0 - d) - b * c)
            kind = np.where(radius < 1.0 - _UNIT, np.where(turning, TURNING, TWO), UNKNOWN)
            drifts = ~turning & (np.abs(first - 1.0) < _UNIT) & (np.abs(second) < 1.0 - _APART)
            kind = np.where(drifts, DRIFTING, kind)
        rounding = _ROUNDING * (1.0 + np.abs(fixed)) / (1.0 - radius)
        limit = np.where(kind == DRIFTING, limit, limit - rounding)
    fixed = np.where((kind == UNKNOWN) | (kind == DRIFTING), 0.0, fixed)
    return np.stack([kind.astype(np.float64), fixed, first, second, limit])


def highest_numpy(motion: NDArray[np.float64], u: float, w: float, steps: int) -> float:
    """Return the highest membrane of a neuron in the next steps, by stepping: for tests."""
    a, b, c, d, e, f = motion
    highest = -math.inf
    for _ in range(steps):
        u, w = a * u + b * w + e, c * u + d * w + f
        highest = max(highest, float(u))
    return highest


@jit
def highest(
    kind: float,
    fixed: float,
    first: float,
    second: float,
    u: float,
    u1: float,
    u2: float,
) -> float:  # pragma: no cover - compiled
    """Return a bound of the membrane over the next `LONGEST` steps.

    Args:
        kind: how it goes.
        fixed: where it tends to.
        first: the greater eigenvalue, or the real part of a pair.
        second: the smaller one, or the imaginary part.
        u: the membrane now.
        u1: after one step.
        u2: after two.
    """
    if kind == ONE:
        if first < 0.0:
            return fixed + abs(u1 - fixed)
        return fixed if fixed > u1 else u1
    if kind == TURNING:
        s = (u1 - fixed - first * (u - fixed)) / second
        return fixed + math.sqrt((first * first + second * second) * ((u - fixed) ** 2 + s * s))
    if kind == TWO:
        p = (u1 - fixed - second * (u - fixed)) / (first - second)
        return fixed + _highest_of_two(p, u - fixed - p, first, second)
    if kind == DRIFTING:
        # u[k] = rest + p second^k + drift k
        drift = (u2 - u1 - second * (u1 - u)) / (1.0 - second)
        p = (u1 - u - drift) / (second - 1.0)
        swing = abs(p * second) if second < 0.0 or p > 0.0 else 0.0
        return u - p + swing + (drift * LONGEST if drift > 0.0 else drift)
    return math.inf


@jit
def _highest_of_two(
    p: float, q: float, first: float, second: float
) -> float:  # pragma: no cover - compiled
    """Return the highest of `p first^k + q second^k`, `k >= 1`, `first > second`."""
    if second <= 1e-12:
        return abs(p * first) + abs(q * second)
    begin = p * first + q * second
    if p > 0.0 and q < 0.0:
        # It rises first; the top lies where its derivative is 0.
        top = math.log(-q * math.log(second) / (p * math.log(first))) / math.log(first / second)
        if top > 1.0:
            return float(p * first**top + q * second**top)
    return 0.0 if begin < 0.0 else begin


@jit
def settles(a: int, b: int) -> bool:  # pragma: no cover - compiled
    """Return whether no hidden neuron of stream `b` can fire in the next `LONGEST` steps."""
    for k in range(layers_of(a).shape[0] - 1):
        row = layers_of(a)[k]
        n, begins = row[NEURONS], row[STATE_AT]
        for m in range(n):
            j = row[SPIKES_AT] + m
            u = np.float64(values_of(a)[b, begins + m])
            w = np.float64(values_of(a)[b, begins + n + m]) if row[VARIABLES] == 2 else 0.0
            u1 = powers_of(a)[0, A00, j] * u + powers_of(a)[0, A01, j] * w + powers_of(a)[0, C0, j]
            u2 = powers_of(a)[1, A00, j] * u + powers_of(a)[1, A01, j] * w + powers_of(a)[1, C0, j]
            bound = highest(
                bounds_of(a)[KIND, j],
                bounds_of(a)[FIXED, j],
                bounds_of(a)[FIRST, j],
                bounds_of(a)[SECOND, j],
                u,
                u1,
                u2,
            )
            if not bound <= bounds_of(a)[LIMIT, j]:  # so written, what is no number never sleeps
                return False
            # What the others would become must be a number as well.
            if not abs(w) < math.inf:
                return False
    return True


@jit
def wake(a: int, b: int) -> None:  # pragma: no cover - compiled
    """Bring the hidden layers of a sleeping stream up to date."""
    slept = rest_of(a)[b, SLEPT]
    for k in range(layers_of(a).shape[0] - 1):
        row = layers_of(a)[k]
        n, begins = row[NEURONS], row[STATE_AT]
        two = row[VARIABLES] == 2
        for m in range(n):
            j = row[SPIKES_AT] + m
            u = np.float64(values_of(a)[b, begins + m])
            w = np.float64(values_of(a)[b, begins + n + m]) if two else 0.0
            for level in range(LEVELS):
                if slept >> level & 1:
                    power = powers_of(a)[level]
                    before = u
                    u = power[A00, j] * u + power[A01, j] * w + power[C0, j]
                    w = power[A10, j] * before + power[A11, j] * w + power[C1, j]
            values_of(a)[b, begins + m] = np.float32(u)
            if two:
                values_of(a)[b, begins + n + m] = np.float32(w)
    rest_of(a)[b, SLEPT] = AWAKE
    rest_of(a)[b, SILENT] = 0
