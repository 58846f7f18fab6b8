"""Readouts: how the outputs of many bins become the scores of a decision.

Each is one function that makes an `Accumulate`, and one line in the registry.
"""

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import ConfigError

Scores = NDArray[np.float64]
Accumulate = Callable[[NDArray[np.float32]], Scores]


def _bin(dt_us: int, span_us: int) -> Accumulate:
    """The output of the bin alone."""
    del dt_us, span_us
    return lambda y: y.astype(np.float64)


def _mean(dt_us: int, span_us: int) -> Accumulate:
    """The mean since the stream began: as the networks of arXiv 2411.04760 are read."""
    del dt_us, span_us
    total: Scores | float = 0.0
    steps = 0

    def accumulate(y: NDArray[np.float32]) -> Scores:
        nonlocal total, steps
        total = total + y.astype(np.float64)
        steps += 1
        return np.asarray(total / steps)

    return accumulate


def _leaky(dt_us: int, span_us: int) -> Accumulate:
    """Evidence that decays with the time constant `span_us`."""
    keep = math.exp(-dt_us / span_us)
    evidence: Scores | float = 0.0

    def accumulate(y: NDArray[np.float32]) -> Scores:
        nonlocal evidence
        evidence = keep * evidence + (1.0 - keep) * y.astype(np.float64)
        return np.asarray(evidence)

    return accumulate


def _window(dt_us: int, span_us: int) -> Accumulate:
    """The mean over the last `span_us`, at least one bin."""
    seen: deque[Scores] = deque(maxlen=max(1, round(span_us / dt_us)))

    def accumulate(y: NDArray[np.float32]) -> Scores:
        seen.append(y.astype(np.float64))
        return np.asarray(sum(seen) / len(seen))

    return accumulate


READOUTS: dict[str, Callable[[int, int], Accumulate]] = {
    "mean": _mean,
    "bin": _bin,
    "leaky": _leaky,
    "window": _window,
}


def new_readout(kind: str, dt_us: int, span_us: int = 100_000) -> Accumulate:
    """Return a fresh readout: call it with each bin's `y`, shape `(..., labels)`.

    Args:
        kind: a name in `READOUTS`.
        dt_us: length of a bin.
        span_us: the time constant of `leaky`, the length of `window`.

    Raises:
        ConfigError: the kind is unknown or the span is not positive.
    """
    if kind not in READOUTS:
        raise ConfigError(f"unknown readout {kind!r}; known are {', '.join(READOUTS)}")
    if span_us < 1:
        raise ConfigError(f"the span of a readout is at least 1 us, got {span_us}")
    return READOUTS[kind](dt_us, span_us)
