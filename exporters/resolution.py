"""From a description to the coefficients of one resolution."""

from dataclasses import dataclass

import numpy as np

from retempo.exporters.adaptation import method_named
from retempo.exporters.description import NetworkSpec, is_linear, layer_of, norm_of
from retempo.exporters.errors import AdaptationError, UnfitError
from retempo.exporters.neurons.general import Array
from retempo.exporters.normalisation import fold, move

COEFFICIENTS = ("A", "R", "F", "G", "N", "gain", "bias", "threshold")


@dataclass(frozen=True, slots=True, eq=False)
class LayerResolution:
    """The coefficients of one layer at one resolution, float64.

    Shapes: `A` `(variables, variables, neurons)`; `R`, `F`, `G`, `N` `(variables, neurons)`;
    `gain`, `bias`, `threshold` `(neurons,)`. A linear neuron has no `N`.
    """

    name: str
    A: Array
    R: Array
    F: Array
    G: Array
    gain: Array
    bias: Array
    threshold: Array
    N: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """A network's coefficients at `dt_us`, how they came about, and how a bin is stepped.

    A bin is `substeps` inner steps with the same input; the feedback terms read the spikes of `lag`
    inner steps ago, see `exporters.adaptation.Schedule`.
    """

    dt_us: int
    method: str
    normalisation: str
    lag: float
    substeps: int
    layers: tuple[LayerResolution, ...]


def check_dt_us(dt_us: int) -> None:
    """Check a time step.

    Raises:
        AdaptationError: it is no positive number of microseconds.
    """
    if isinstance(dt_us, bool) or not isinstance(dt_us, int) or dt_us < 1:
        raise AdaptationError(f"a time step is a positive number of whole us, got {dt_us}")


def resolve(
    network: NetworkSpec, dt_us: int, method: str, normalisation: str | None = None
) -> Resolution:
    """Adapt a network to the time step `dt_us`.

    At the source's own time step every method returns the source network, but `euler` of a neuron
    that is given by its differential equation.

    Args:
        network: the description, see `check_network`.
        dt_us: the target time step.
        method: a name in `exporters.adaptation.METHODS`.
        normalisation: a name in `exporters.normalisation.RULES`; the method's own if None.

    Raises:
        AdaptationError: the method or the rule is unknown, or unfit for this ratio or network.
    """
    check_dt_us(dt_us)
    chosen = method_named(method)
    rule = normalisation or chosen.normalisation
    schedule = chosen.schedule_of(network.source_dt_us, dt_us, linear=is_linear(network))
    rho = dt_us / (schedule.substeps * network.source_dt_us)
    layers = []
    for position, spec in enumerate(network.layers):
        # What overflows is refused below, by name; NumPy need not warn of it as well.
        with np.errstate(all="ignore"):
            coefficients = chosen.adapt(layer_of(spec), rho)
            norm = norm_of(spec)
            gain, bias = fold(move(norm, rho, rule) if position == 0 else norm)
            if position == 0:
                gain = gain / schedule.substeps
        layer = LayerResolution(
            name=spec.name,
            A=coefficients.A,
            R=coefficients.R,
            F=coefficients.F,
            G=coefficients.G,
            N=coefficients.N,
            gain=gain,
            bias=bias,
            threshold=np.full(spec.neurons, spec.threshold),
        )
        _refuse_overflow(layer, method, rho)
        layers.append(layer)
    return Resolution(dt_us, method, rule, schedule.lag, schedule.substeps, tuple(layers))


def _refuse_overflow(layer: LayerResolution, method: str, rho: float) -> None:
    for name in COEFFICIENTS:
        values = getattr(layer, name)
        if values is not None and not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise UnfitError(
                f"{layer.name}.{name} overflows by {method} at {rho:g} times the source time step; "
                "take a step nearer to the source's"
            )
