"""Measured statistics: what stands in for a batch norm's own, at one resolution and no other."""

import msgspec
import numpy as np

from retempo.exporters.errors import AdaptationError
from retempo.exporters.normalisation import BatchNorm

# A neuron whose input varies by less than this share of its mean does not vary but rounds.
_ROUNDING = 1e-6


class Statistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean and variance of `W x` over `bins` bins of `dt_us`, a neuron of the sensor-fed layer.

    `x` is the whole bin, however many inner steps it is stepped as: a norm over the share of an
    inner step is the same norm.
    """

    dt_us: int
    bins: int
    mean: list[float]
    variance: list[float]


def replace_statistics(
    norm: BatchNorm, statistics: Statistics | None, dt_us: int, layer: str
) -> BatchNorm:
    """Return a layer's batch norm with measured statistics in place of its own.

    Raises:
        AdaptationError: nothing was measured, or at another time step, or for another layer, or a
            neuron's input never varies.
    """
    if statistics is None or statistics.dt_us != dt_us:
        known = "" if statistics is None else f", known are those of {statistics.dt_us} us"
        raise AdaptationError(
            f"normalisation measured needs statistics of unlabelled recordings in bins of {dt_us} "
            f"us{known}; export with --normalisation measured --unlabelled, or use paper"
        )
    mean, variance = np.array(statistics.mean), np.array(statistics.variance)
    if mean.shape != norm.mean.shape or variance.shape != norm.mean.shape:
        raise AdaptationError(
            f"statistics of {len(mean)} and {len(variance)} neurons do not fit the "
            f"{len(norm.mean)} of {layer}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise AdaptationError(f"the measured statistics of {layer} are not finite")
    still = np.flatnonzero(variance <= (_ROUNDING * mean) ** 2)
    if len(still):
        raise AdaptationError(
            f"the input of neuron {still[0]} of {layer} never varies in the unlabelled recordings "
            f"({len(still)} of {len(mean)} such); use recordings of what the network will see"
        )
    return BatchNorm(
        mean=mean,
        variance=variance,
        weight=norm.weight,
        bias=norm.bias,
        epsilon=norm.epsilon,
    )
