"""Frames of sound to mel bands.

The mel scale is `m(f) = 2595 log10(1 + f / 700)`; a band is a triangle over the power spectrum with
its feet on the peaks of its neighbours, of height 1. Source: O'Shaughnessy, Speech Communication,
1987, as the HTK toolkit has it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.ears.ear import check_rate
from retempo.sensors.errors import CochleaError
from retempo.sensors.speech2spikes.spec import Speech2SpikesSpec

Floats = NDArray[np.float64]

_RATES_HZ = (1_000, 384_000)


class Bands(NamedTuple):
    """Mel bands at a sample rate.

    Shapes: `window` `(window,)`, a raised cosine; `triangles` `(window // 2 + 1, mels)`.
    """

    rate_hz: int
    hop: int
    window: Floats
    triangles: Floats
    threshold: float
    floor: float

    @property
    def mels(self) -> int:
        """How many bands there are."""
        return int(self.triangles.shape[1])


def bands_of(spec: Speech2SpikesSpec, rate_hz: int) -> Bands:
    """Return the bands that hear sound at a rate.

    Raises:
        CochleaError: the rate is out of range, or too low for the window, the bands or the hop.
    """
    check_rate(rate_hz, *_RATES_HZ)
    size, hop = (round(time_ms * 1e-3 * rate_hz) for time_ms in (spec.window_ms, spec.hop_ms))
    high_hz = min(spec.high_hz, rate_hz / 2.0)
    if spec.low_hz >= high_hz:
        raise CochleaError(
            f"sound at {rate_hz} Hz reaches up to {high_hz:g} Hz, below the lowest band, low_hz "
            f"{spec.low_hz:g}; lower low_hz or record at a higher rate"
        )
    if size < 2 or hop < 1:
        raise CochleaError(
            f"a window of {size} and a hop of {hop} samples at {rate_hz} Hz, expected 2 and 1 or "
            "more; raise window_ms and hop_ms"
        )
    return Bands(
        rate_hz=rate_hz,
        hop=hop,
        window=0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size),
        triangles=_triangles(spec.mels, spec.low_hz, high_hz, rate_hz, size),
        threshold=spec.threshold,
        floor=spec.floor,
    )


def log_bands(bands: Bands, frames: Floats) -> Floats:
    """Return the logarithm of the power in each band, `(frames, window)` to `(frames, mels)`.

    Each frame by itself, so that its sums are the same however many come together.
    """
    found = np.empty((len(frames), bands.mels))
    for frame, row in zip(frames, found, strict=True):
        power = np.square(np.abs(np.fft.rfft(frame * bands.window)))
        row[:] = power @ bands.triangles
    return np.log(np.maximum(found, bands.floor))


def _triangles(mels: int, low_hz: float, high_hz: float, rate_hz: int, size: int) -> Floats:
    low, high = (2_595.0 * math.log10(1.0 + end / 700.0) for end in (low_hz, high_hz))
    peaks_hz = 700.0 * (10.0 ** (np.linspace(low, high, mels + 2) / 2_595.0) - 1.0)
    frequency_hz = np.fft.rfftfreq(size, 1.0 / rate_hz)[:, np.newaxis]
    rising = (frequency_hz - peaks_hz[:-2]) / np.diff(peaks_hz)[:-1]
    falling = (peaks_hz[2:] - frequency_hz) / np.diff(peaks_hz)[1:]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
