"""From a description to the coefficients of one resolution."""

from dataclasses import dataclass, replace

import numpy as np

from retempo.exporters.adaptation import method_named
from retempo.exporters.adaptation.method import MOST_STEPS
from retempo.exporters.bin_laws import input_scale, scale_note
from retempo.exporters.description import (
    LONGEST_DT_US,
    NetworkSpec,
    connection_of,
    is_linear,
    layer_of,
    norm_of,
)
from retempo.exporters.errors import AdaptationError, UnfitError
from retempo.exporters.matching import swing_ratio
from retempo.exporters.neurons import neuron_named, source_coefficients
from retempo.exporters.neurons.general import Array
from retempo.exporters.normalisation import check_rule, fold, move
from retempo.exporters.statistics import Statistics, replace_statistics

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
    inner steps ago, see `exporters.adaptation.Schedule`. `statistics` are those that the rule
    `measured` took.
    """

    dt_us: int
    method: str
    normalisation: str
    lag: float
    substeps: int
    layers: tuple[LayerResolution, ...]
    statistics: Statistics | None = None


def check_dt_us(dt_us: int) -> None:
    """Check a time step.

    Raises:
        AdaptationError: it is no positive number of microseconds, or more than a day.
    """
    if isinstance(dt_us, bool) or not isinstance(dt_us, int) or not 1 <= dt_us <= LONGEST_DT_US:
        raise AdaptationError(
            f"a time step is a positive number of whole us, at most a day, got {dt_us}"
        )


def resolve(
    network: NetworkSpec,
    dt_us: int,
    method: str,
    normalisation: str | None = None,
    statistics: Statistics | None = None,
) -> Resolution:
    """Adapt a network to the time step `dt_us`.

    At the source's own time step every method returns the source network, but `euler` of a neuron
    that is given by its differential equation.

    Args:
        network: the description, see `check_network`.
        dt_us: the target time step.
        method: a name in `exporters.adaptation.METHODS`.
        normalisation: a name in `exporters.normalisation.RULES`; the method's own if None.
        statistics: what the rule `measured` takes, see `runtime.measuring.measure`.

    Raises:
        AdaptationError: the method or the rule is unknown, or unfit for this ratio or network, or
            `measured` lacks its statistics.
    """
    check_dt_us(dt_us)
    chosen = method_named(method)
    rule = normalisation or chosen.normalisation
    check_rule(rule)
    measured = statistics if rule == "measured" else None
    schedule = chosen.schedule_of(network.source_dt_us, dt_us, linear=is_linear(network))
    rho = dt_us / (schedule.substeps * network.source_dt_us)
    layers = []
    for position, spec in enumerate(network.layers):
        # What overflows is refused below, by name; NumPy need not warn of it as well.
        with np.errstate(all="ignore"):
            coefficients = chosen.adapt(layer_of(spec), rho)
            if position == 0:
                gain, bias = _sensor_gain(network, dt_us, schedule.substeps, rule, measured)
            else:
                gain, bias = fold(norm_of(spec))
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
    return Resolution(dt_us, method, rule, schedule.lag, schedule.substeps, tuple(layers), measured)


def note_of(network: NetworkSpec, resolution: Resolution) -> str | None:
    """Return what a user should know of a resolution's normalisation, None if nothing is amiss."""
    rule, dt_us = resolution.normalisation, resolution.dt_us
    if dt_us == network.source_dt_us or rule not in ("paper", "independent", "matched"):
        return None
    notes = [scale_note(network.input)]
    pool = connection_of(network.layers[0]).pool
    if pool is not None and pool.kind == "max":
        notes.append(
            "the sensor's input is pooled by max, which grows with the bin as no rule knows; pool "
            "it by average, or use --normalisation measured"
        )
    if rule == "matched" and dt_us > network.source_dt_us and network.input_correlation is None:
        notes.append(
            "the network does not keep the autocorrelation of its input, so matched is paper; "
            "train it again, or use --normalisation measured"
        )
    return "; ".join(note for note in notes if note) or None


def _sensor_gain(
    network: NetworkSpec, dt_us: int, substeps: int, rule: str, measured: Statistics | None
) -> tuple[Array, Array]:
    """Fold the norm of the layer that takes the whole bin at each of its inner steps."""
    layer, rho = network.layers[0], dt_us / network.source_dt_us
    scale = input_scale(network.input, rho)
    if rule == "measured":
        if layer.norm is None:
            raise UnfitError(f"{layer.name} has no batch norm to measure for; use paper")
        moved = move(norm_of(layer), scale, "paper")
        return fold(replace_statistics(moved, measured, dt_us, layer.name))
    if rule == "independent" and layer.norm is None:
        rule = "paper"  # no spread to keep: the mean current is all that can stay
    moved = move(norm_of(layer), scale, rule)
    # From coarse to fine nothing is held, and there is nothing to compute.
    if rule == "matched" and rho > 1.0 and network.input_correlation is not None:
        if rho > MOST_STEPS:
            raise UnfitError(
                f"matched looks back into the {rho:,.0f} source steps of a bin, at most "
                f"{MOST_STEPS:,}; take a step nearer to the source's, or use paper"
            )
        source = source_coefficients(neuron_named(layer.neuron), layer_of(layer).parameters)
        ratio = swing_ratio(source, np.array(network.input_correlation), rho)
        moved = replace(moved, weight=moved.weight * ratio)
    gain, bias = fold(moved)
    if rule == "none":
        # The statistics stay those of a step: the bin is shared out over its inner steps.
        gain = gain * (input_scale(network.input, rho / substeps).mean / scale.mean)
    return gain, bias


def _refuse_overflow(layer: LayerResolution, method: str, rho: float) -> None:
    for name in COEFFICIENTS:
        values = getattr(layer, name)
        if values is not None and not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise UnfitError(
                f"{layer.name}.{name} overflows by {method} at {rho:g} times the source time step; "
                "take a step nearer to the source's"
            )
