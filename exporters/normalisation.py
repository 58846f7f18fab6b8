"""Batch norm as a gain and a bias, at any resolution.

In evaluation batch norm is affine: `i = gain * (W in) + bias`. A target bin sums `rho` source
inputs, so the statistics that were measured at the source resolution are moved too; only the layer
that the sensor feeds needs it, since the spikes of a deeper layer keep their mean a step under the
held-current view.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retempo.exporters.errors import AdaptationError
from retempo.exporters.neurons.general import Array


@dataclass(frozen=True, slots=True, eq=False)
class BatchNorm:
    """The statistics and the affine part of a batch norm, each `(neurons,)`, float64."""

    mean: Array
    variance: Array
    weight: Array
    bias: Array
    epsilon: float = 1e-5


def no_batch_norm(neurons: int) -> BatchNorm:
    """Return the batch norm that does nothing."""
    zeros, ones = np.zeros(neurons), np.ones(neurons)
    return BatchNorm(mean=zeros, variance=ones, weight=ones, bias=zeros, epsilon=0.0)


def fold(norm: BatchNorm) -> tuple[Array, Array]:
    """Return `(gain, bias)` with `gain * z + bias` equal to the batch norm of `z`."""
    gain = norm.weight / np.sqrt(norm.variance + norm.epsilon)
    return gain, norm.bias - gain * norm.mean


def _keep(norm: BatchNorm, rho: float) -> BatchNorm:
    del rho
    return norm


def _paper(norm: BatchNorm, rho: float) -> BatchNorm:
    return BatchNorm(
        mean=rho * norm.mean,
        variance=rho * rho * norm.variance,
        weight=norm.weight,
        bias=norm.bias,
        # Left as it is, epsilon would outweigh the variance at small rho.
        epsilon=rho * rho * norm.epsilon,
    )


RULES: dict[str, Callable[[BatchNorm, float], BatchNorm]] = {"none": _keep, "paper": _paper}


def move(norm: BatchNorm, rho: float, rule: str) -> BatchNorm:
    """Return the batch norm of the sensor-fed layer at `rho` times the source time step.

    Rules: `none` keeps the statistics; `paper` takes `mean * rho` and `variance * rho**2`
    (arXiv 2411.04760, section on normalisation: inputs that move together).

    Raises:
        AdaptationError: the rule is unknown.
    """
    if rule not in RULES:
        raise AdaptationError(f"unknown normalisation rule {rule!r}; known are {', '.join(RULES)}")
    return RULES[rule](norm, rho)
