"""Equivalent rectangular bandwidths of hearing.

Source: Glasberg, Moore, Derivation of auditory filter shapes from notched-noise data, 1990.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# ERB(f) = 24.7 Hz (4.37 f / kHz + 1)
_LEAST_HZ = 24.7
_PER_HZ = 4.37e-3


def bandwidth_hz(frequency_hz: Floats) -> Floats:
    """The equivalent rectangular bandwidth at a centre frequency."""
    return _LEAST_HZ * (_PER_HZ * frequency_hz + 1.0)


def centres_hz(channels: int, low_hz: float, high_hz: float) -> Floats:
    """Frequencies from low to high, as many bandwidths apart each; shape `(channels,)`.

    Counting bandwidths up from 0 Hz gives `E(f) = ln(1 + 4.37e-3 f) / (24.7 x 4.37e-3)`; the
    centres are even in `E`. A single channel lies in the middle.
    """
    ends = np.log1p(_PER_HZ * np.array([low_hz, high_hz]))
    even = np.linspace(ends[0], ends[1], channels) if channels > 1 else ends.mean(keepdims=True)
    return np.asarray(np.expm1(even) / _PER_HZ)
