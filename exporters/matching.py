"""How much less a membrane swings when its input is held, and the gain that makes up for it.

A coarse bin says how many events came, not when. Its input is held over the `rho` source steps that
it covers, so all that varied within it is gone, and a neuron whose threshold was trained to the
full swing fires too rarely. How much of the swing is lost follows, without any recording, from the
autocorrelation of the current at the source, which the training leaves with the network, and from
the neuron's own response: what the membrane smooths away anyway is no loss.

For a stationary current of correlation `r` through a response `h` of the membrane,

    swing^2        = sum_jk h_j h_k r(j - k)                          every source step its own
    swing_held^2   = sum_BC h_B h_C r_BC,  averaged over where the bins begin

with `h_B` the response summed over a bin and `r_BC` the mean correlation between two bins. Ours;
see docs/adaptation.md.
"""

import math

import numpy as np

from retempo.exporters.neurons.general import Array, Coefficients

# How many source steps of a membrane's past count: twice the slowest time constant in training.
HORIZON = 256


def swing_ratio(source: Coefficients, correlation: Array, rho: float) -> Array:
    """Return the swing at the source over the swing under input held for `rho` source steps.

    Args:
        source: the coefficients of the layer at its source resolution.
        correlation: the autocorrelation of its current, one value a source step from 1 at lag 0;
            zero beyond its end.
        rho: target dt / source dt; at 1 and below nothing is held, and the ratio is 1.

    Returns:
        The ratio of each neuron, `(neurons,)`, 1 or more for a current that varies at random.
    """
    response = _response(source, HORIZON)
    below = max(1, math.floor(rho))
    over = max(0.0, rho - below)
    swing = _held_swing(response, correlation, below)
    if over:
        swing = (1.0 - over) * swing + over * _held_swing(response, correlation, below + 1)
    whole = _held_swing(response, correlation, 1)
    # A neuron that no input reaches, or a current that never varied, has nothing to make up for.
    still = (swing <= 0.0) | (whole <= 0.0)
    ratio: Array = np.where(still, 1.0, whole) / np.where(still, 1.0, swing)
    return ratio


def _held_swing(response: Array, correlation: Array, steps: int) -> Array:
    """The swing of each neuron under input held for that many source steps, `(neurons,)`."""
    bins = len(response) // steps + 2
    between = _between_bins(correlation, steps, bins)
    squares = np.zeros(response.shape[1])
    # Wherever a bin begins before all of the response, the whole of it lies within that bin.
    within = max(0, steps - len(response))
    if within:
        squares += within * between[0] * np.square(response.sum(axis=0))
    for phase in range(within, steps):
        by_bin = np.zeros((bins, response.shape[1]))
        np.add.at(by_bin, (np.arange(len(response)) + phase) // steps, response)
        squares += _quadratic(by_bin, between)
    # Rounding may leave a tiny negative where nothing swings.
    swing: Array = np.sqrt(np.maximum(squares / steps, 0.0))
    return swing


def _response(source: Coefficients, steps: int) -> Array:
    """The membrane after a unit of current, `(steps, neurons)`."""
    rows = np.empty((steps, source.neurons))
    v = source.F.copy()
    for k in range(steps):
        rows[k] = v[0]
        v = np.einsum("ijn,jn->in", source.A, v)
    return rows


def _between_bins(correlation: Array, steps: int, bins: int) -> Array:
    """The mean correlation between the steps of two bins, by how many bins lie between them."""
    offsets = np.arange(1 - steps, steps)
    weights = (steps - np.abs(offsets)) / steps**2
    lags = np.abs(np.arange(bins)[:, np.newaxis] * steps + offsets)
    known = np.append(correlation, 0.0)
    mean: Array = known[np.minimum(lags, len(correlation))] @ weights
    return mean


def _quadratic(response: Array, correlation: Array) -> Array:
    """Return `sum_jk response_j response_k correlation[|j - k|]` for each neuron."""
    steps = np.arange(len(response))
    matrix = correlation[np.abs(steps[:, np.newaxis] - steps)]
    total: Array = np.einsum("jn,jn->n", response, matrix @ response)
    return total
