"""Delta modulation: the compiled kernel and its plain twin.

A band `s` fires up where it is more than a threshold above what its events add up to, `r`, and down
where it is more than one below; `r`, which begins at the first frame, follows by one threshold:

    e = [s - r > theta] - [r - s > theta]        r <- r + theta e
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.speech2spikes.mel import Floats

Signs = NDArray[np.int8]


def modulated(bands: Floats, threshold: float, reached: Floats) -> tuple[Signs, Floats]:
    """Return the event of each frame and band, 1, 0 or -1, and what the events add up to.

    Shapes: `bands` and the events `(frames, mels)`, `reached` `(mels,)`.
    """
    events, after = np.zeros(bands.shape, np.int8), reached.copy()
    _modulate(bands, threshold, after, events)
    return events, after


@njit(cache=True, nogil=True)
def _modulate(
    bands: Floats, threshold: float, reached: Floats, events: Signs
) -> None:  # pragma: no cover - compiled
    for k in range(bands.shape[0]):
        for m in range(bands.shape[1]):
            gap = bands[k, m] - reached[m]
            if gap > threshold:
                events[k, m] = 1
                reached[m] += threshold
            elif -gap > threshold:
                events[k, m] = -1
                reached[m] -= threshold


def modulated_plainly(bands: Floats, threshold: float, reached: Floats) -> tuple[Signs, Floats]:
    """Do what `modulated` does, in NumPy, a frame at a time."""
    events, after = np.zeros(bands.shape, np.int8), reached.copy()
    for row, band in zip(events, bands, strict=True):
        row[:] = (band - after > threshold).astype(np.int8) - (after - band > threshold)
        after = after + threshold * row
    return events, after
