"""Batch norm as a gain and a bias, at any resolution.

In evaluation batch norm is affine: `i = gain * (W in) + bias`. A target bin holds other inputs than
a source bin does, so the statistics that were measured at the source resolution are moved too; only
the layer that the sensor feeds needs it, since the spikes of a deeper layer keep their mean a step
under the held-current view.

    rule          mean                       variance
    none          as it is                   as it is
    paper         times the mean's scale     times the square of that
    independent   times the mean's scale     times the variance's scale of independent events
    matched       as paper                   as paper, over the square of the swing that is lost to
                                             a held input, `exporters.matching`
    measured      that of unlabelled recordings at the target resolution, see `runtime.measuring`

The scales are those of the bin mode, `exporters.bin_laws`: `rho` and `rho` for `sum`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from retempo.exporters.errors import AdaptationError
from retempo.exporters.neurons.general import Array

RULES = ("none", "paper", "independent", "matched", "measured")


@dataclass(frozen=True, slots=True, eq=False)
class BatchNorm:
    """The statistics and the affine part of a batch norm, each `(neurons,)`, float64."""

    mean: Array
    variance: Array
    weight: Array
    bias: Array
    epsilon: float = 1e-5


class InputScale(NamedTuple):
    """What the mean of an input, and its variance for independent events, are multiplied by."""

    mean: float
    variance: float


def no_batch_norm(neurons: int) -> BatchNorm:
    """Return the batch norm that does nothing."""
    zeros, ones = np.zeros(neurons), np.ones(neurons)
    return BatchNorm(mean=zeros, variance=ones, weight=ones, bias=zeros, epsilon=0.0)


def fold(norm: BatchNorm) -> tuple[Array, Array]:
    """Return `(gain, bias)` with `gain * z + bias` equal to the batch norm of `z`."""
    gain = norm.weight / np.sqrt(norm.variance + norm.epsilon)
    return gain, norm.bias - gain * norm.mean


def move(norm: BatchNorm, scale: InputScale, rule: str) -> BatchNorm:
    """Return the batch norm of the sensor-fed layer for inputs that grew by `scale`.

    `paper` is for inputs that move together (arXiv 2411.04760, section on normalisation),
    `independent` for events that know nothing of each other. `matched` begins as `paper`.

    Raises:
        AdaptationError: the rule is unknown, or does not follow from the source's statistics.
    """
    check_rule(rule)
    if rule == "none":
        return norm
    if rule == "measured":
        raise AdaptationError("measured statistics are measured, not moved; give them to resolve")
    variance = scale.variance if rule == "independent" else scale.mean**2
    return BatchNorm(
        mean=scale.mean * norm.mean,
        variance=variance * norm.variance,
        weight=norm.weight,
        bias=norm.bias,
        # Left as it is, epsilon would outweigh the variance at small rho.
        epsilon=variance * norm.epsilon,
    )


def check_rule(rule: str) -> None:
    """Check the name of a rule.

    Raises:
        AdaptationError: it is unknown.
    """
    if rule not in RULES:
        raise AdaptationError(f"unknown normalisation rule {rule!r}; known are {', '.join(RULES)}")
