"""What a network remembers of its training recordings, for resolutions that it has not seen."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.connections import product
from retempo.exporters.description import connection_of
from retempo.exporters.matching import HORIZON
from retempo.exporters.network import Network
from retempo.runtime.recorded import bin_recording
from retempo.training.batches import BinPlan
from retempo.training.datasets import Dataset, limited

# Their mean is known well enough by then.
MOST_RECORDINGS = 500


def input_correlation(network: Network, dataset: Dataset, plan: BinPlan) -> list[float]:
    """Return the autocorrelation of the sensor-fed layer's current, from 1 at lag 0, one a step.

    About each neuron's mean over all recordings, averaged over the neurons. A recording is silent
    beyond its ends, as the membrane that listens to it is at rest before; that also makes the
    result one that a process can have (its spectrum is never negative), up to the `HORIZON` values
    where it is cut off. A current that never varies has `[1.0]`.
    """
    chosen = limited(dataset, MOST_RECORDINGS)
    heard = (_current(network, chosen, plan, index) for index in range(len(chosen)))
    currents = [current for current in heard if len(current)]
    return [float(value) for value in correlation_of(currents)]


def correlation_of(currents: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the autocorrelation of currents, each `(steps, neurons)`, see `input_correlation`."""
    if not currents:
        return np.ones(1)
    steps = sum(len(current) for current in currents)
    mean = sum(current.sum(axis=0) for current in currents) / max(1, steps)
    variance = sum(np.square(current - mean).sum(axis=0) for current in currents) / max(1, steps)
    varying = variance > 0.0
    lags = min(HORIZON, max((len(current) for current in currents), default=1))
    total = np.zeros(lags)
    if not varying.any():
        return np.ones(1)
    for current in currents:
        scaled = (current[:, varying] - mean[varying]) / np.sqrt(variance[varying])
        length = 2 * len(scaled)
        spectrum = np.square(np.abs(np.fft.rfft(scaled, length, axis=0))).sum(axis=1)
        products = np.fft.irfft(spectrum, length)[: min(lags, len(scaled))]
        total[: len(products)] += products
    result: NDArray[np.float64] = total / total[0]
    return result


def _current(network: Network, dataset: Dataset, plan: BinPlan, index: int) -> NDArray[np.float64]:
    rows, _ = bin_recording(dataset[index].events, plan.layout, plan.dt_us)
    layer = network.spec.layers[0]
    W = network.weights[f"{layer.name}.W"]
    return product(connection_of(layer), W, rows).astype(np.float64)
