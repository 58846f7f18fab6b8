"""Readouts: how the outputs of many bins become the scores of a decision.

Each is one function that makes a `Readout`, and one line in the registry. Bins of unequal length
count by their length: a bin of twice the time step is worth two.
"""

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import ConfigError
from retempo.runtime.mean_kernel import add_bin

Scores = NDArray[np.float64]
Outputs = NDArray[np.float32]
# From `y` of consecutive bins, `(bins, labels)`, and their length in microseconds to the scores
# after each of them, `(bins, labels)`. How bins come together in a call changes nothing.
Readout = Callable[[Outputs, int], Scores]


def _bin(dt_us: int, span_us: int) -> Readout:
    """The output of the bin alone."""
    del dt_us, span_us
    return lambda y, _dt_us: y.astype(np.float64)


def _mean(dt_us: int, span_us: int) -> Readout:
    """The mean since the stream began: as the networks of arXiv 2411.04760 are read."""
    del span_us
    total: Scores = np.zeros((1, 1))
    weight = 0.0

    def read(y: Outputs, bin_us: int) -> Scores:
        nonlocal total, weight
        worth = bin_us / dt_us
        if len(y) == 1:
            # The one bin of a live stream, without the work that many take.
            if total.shape != y.shape:
                total = np.zeros(y.shape)
            weight += worth
            return add_bin(total, y, worth, weight)
        scores = y.astype(np.float64)
        if worth != 1.0:
            scores *= worth
        # One sum after the other: so they round as they do bin by bin.
        scores[0] += total[0]
        np.cumsum(scores, axis=0, out=scores)
        total = scores[-1:].copy()
        weights = weight + worth * np.arange(1, len(scores) + 1)[:, np.newaxis]
        weight += worth * len(scores)
        scores /= weights
        return scores

    return read


def _leaky(dt_us: int, span_us: int) -> Readout:
    """Evidence that decays with the time constant `span_us`."""
    del dt_us
    evidence: Scores | float = 0.0

    def read(y: Outputs, bin_us: int) -> Scores:
        nonlocal evidence
        keep = math.exp(-bin_us / span_us)
        scores = (1.0 - keep) * y.astype(np.float64)
        for row in scores:
            row += keep * evidence
            evidence = row
        evidence = scores[-1].copy()
        return scores

    return read


def _window(dt_us: int, span_us: int) -> Readout:
    """The mean over the last `span_us`, at least one bin; a bin half within it counts whole."""
    del dt_us
    seen: deque[tuple[int, Scores]] = deque()
    held_us = 0

    def read(y: Outputs, bin_us: int) -> Scores:
        nonlocal held_us
        scores = y.astype(np.float64)
        for row in scores:
            seen.append((bin_us, row.copy()))
            held_us += bin_us
            while len(seen) > 1 and held_us - seen[0][0] / 2 >= span_us:
                held_us -= seen.popleft()[0]
            row[:] = sum(length * each for length, each in seen) / held_us
        return scores

    return read


READOUTS: dict[str, Callable[[int, int], Readout]] = {
    "mean": _mean,
    "bin": _bin,
    "leaky": _leaky,
    "window": _window,
}


def new_readout(kind: str, dt_us: int, span_us: int = 100_000) -> Readout:
    """Return a fresh readout: call it with `y` of the next bins and their length.

    Args:
        kind: a name in `READOUTS`.
        dt_us: length of a bin as the stream begins.
        span_us: the time constant of `leaky`, the length of `window`.

    Raises:
        ConfigError: the kind is unknown or the span is not positive.
    """
    if kind not in READOUTS:
        raise ConfigError(f"unknown readout {kind!r}; known are {', '.join(READOUTS)}")
    if span_us < 1:
        raise ConfigError(f"the span of a readout is at least 1 us, got {span_us}")
    return READOUTS[kind](dt_us, span_us)
