"""The upswings of the nonlinear neurons, compiled from their own formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np

from retempo.exporters.neurons import NEURONS
from retempo.exporters.neurons.general import Upswing
from retempo.runtime.engines.sparse.compiling import part

UPSWINGS: tuple[Upswing, ...] = tuple(
    dict.fromkeys(neuron.upswing for neuron in NEURONS.values() if neuron.upswing is not None)
)

# `math.e ** z` becomes one exponential where its approximation is allowed.
_formula = part(forceinline=True, fastmath={"afn", "nnan", "ninf"})
_jit = part(forceinline=True)


def _none(which: int, x: Any) -> Any:  # noqa: ARG001  # pragma: no cover - compiled
    return np.float32(0.0)


def _chain(upswings: tuple[Upswing, ...]) -> Callable[[int, Any], Any]:
    """Return `value(which, x)`: the formula of upswing `which`, counted from 0."""
    if not upswings:
        return _jit(_none)
    first, rest = _formula(upswings[0].value), _chain(upswings[1:])

    def value(which: int, x: Any) -> Any:  # pragma: no cover - compiled
        if which == 0:
            return np.float32(first(x))
        return rest(which - 1, x)

    return _jit(value)


upswing_of = _chain(UPSWINGS)
