"""What an adaptation method is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from retempo.exporters.errors import UnfitError
from retempo.exporters.neurons import Coefficients, Neuron
from retempo.exporters.neurons.general import Array

# A bin of more inner steps than this stalls a stream longer than any sensor waits; a lag of more
# makes a state of gigabytes.
MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Layer:
    """What a method sees of a layer: its name, its model and its source parameters."""

    name: str
    neuron: Neuron
    parameters: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a target bin is stepped.

    `substeps` inner steps a bin, all of them with the same input. The feedback terms read the
    spikes of `lag` inner steps ago, 1 or more; between two whole steps both are read, weighted.
    """

    substeps: int = 1
    lag: float = 1.0


def once_a_bin(source_dt_us: int, target_dt_us: int) -> Schedule:
    """Return the schedule of one step a bin whose feedback reads the spikes of the step before."""
    del source_dt_us, target_dt_us
    return Schedule()


def inner_steps(source_dt_us: int, target_dt_us: int) -> Schedule:
    """Return the schedule in which no step is longer than the source's.

    Raises:
        UnfitError: a bin would take over 10,000 inner steps.
    """
    substeps = max(1, -(-target_dt_us // source_dt_us))
    if substeps > MOST_STEPS:
        raise UnfitError(
            f"the network would be stepped {substeps:,} times a bin of {target_dt_us} us, at most "
            f"{MOST_STEPS:,}; take a step nearer to the source's {source_dt_us} us"
        )
    return Schedule(substeps)


@dataclass(frozen=True, slots=True)
class Method:
    """A way from source to target coefficients.

    `adapt(layer, rho)` returns the coefficients of a step `rho` times as long as the source's.
    `schedule(source_dt_us, target_dt_us)` returns how a target bin is stepped; `rho` is then that
    of an inner step. Both raise AdaptationError where the method does not fit. `normalisation` is
    the rule that goes with the method unless another is asked for. `nonlinear` is the schedule of a
    network with a nonlinear neuron, where it differs: a power of A stands for many source steps, a
    held upswing for one at most.
    """

    name: str
    adapt: Callable[[Layer, float], Coefficients]
    normalisation: str = "paper"
    schedule: Callable[[int, int], Schedule] = once_a_bin
    nonlinear: Callable[[int, int], Schedule] | None = None

    def schedule_of(self, source_dt_us: int, target_dt_us: int, *, linear: bool) -> Schedule:
        """Return how a target bin of a linear or a nonlinear network is stepped."""
        chosen = self.schedule if linear or self.nonlinear is None else self.nonlinear
        return chosen(source_dt_us, target_dt_us)
