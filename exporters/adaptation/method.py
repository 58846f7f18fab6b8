"""What an adaptation method is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from retempo.exporters.neurons import Coefficients, Neuron
from retempo.exporters.neurons.general import Array


@dataclass(frozen=True, slots=True)
class Layer:
    """What a method sees of a layer: its name, its model and its source parameters."""

    name: str
    neuron: Neuron
    parameters: Mapping[str, Array]


def read_last_spikes(source_dt_us: int, target_dt_us: int) -> int:
    """Return the lag of a network whose feedback reads the spikes of the step before."""
    del source_dt_us, target_dt_us
    return 1


@dataclass(frozen=True, slots=True)
class Method:
    """A way from source to target coefficients.

    `adapt(layer, rho)` returns the coefficients at `rho` times the source time step.
    `lag(source_dt_us, target_dt_us)` returns how many target steps ago the spikes were that the
    feedback terms read; both raise AdaptationError where the method does not fit.
    `normalisation` is the rule that goes with the method unless another is asked for.
    """

    name: str
    adapt: Callable[[Layer, float], Coefficients]
    normalisation: str = "paper"
    lag: Callable[[int, int], int] = read_last_spikes
