"""One block of the membrane: partitioned convolution, every second sample of it.

The published ear hears at half the sample rate: it takes every second sample of the membrane's
velocity without a filter before it, so that the upper half of the spectrum folds down. Here the
fold is done on the spectrum, which halves the transforms back.
"""

import numpy as np
from numba import njit

from retempo.sensors.lauscher.coefficients import Complex, Filters, Floats, Index


def velocity_of(filters: Filters, spectra: Complex) -> Floats:
    """Return the velocity over the block that lies `ahead` blocks before the newest.

    Args:
        filters: the membrane.
        spectra: transforms of the last blocks, see `state.State`.

    Shapes: the result is `(channels, block / 2)`.
    """
    folded = np.zeros((filters.channels, filters.block // 2 + 1), np.complex128)
    _multiply(filters.taps, filters.first, filters.parts, filters.offset, spectra, folded)
    return np.ascontiguousarray(np.fft.irfft(folded, filters.block)[:, filters.block // 2 :])


@njit(cache=True, nogil=True, fastmath=True)
def _multiply(
    taps: Complex, first: Index, parts: Index, offset: Index, spectra: Complex, folded: Complex
) -> None:  # pragma: no cover - compiled
    last = spectra.shape[1] - 1
    total = np.empty(last + 1, np.complex128)
    for n in range(len(first)):
        total[:] = 0.0
        for p in range(parts[n]):
            part, sound = taps[offset[n] + p], spectra[first[n] + p]
            for k in range(last + 1):
                total[k] += part[k] * sound[k]
        for k in range(folded.shape[1]):
            folded[n, k] = 0.5 * (total[k] + total[last - k].conjugate())


def velocity_plainly(filters: Filters, spectra: Complex) -> Floats:
    """Do what `velocity_of` does, in NumPy, without folding."""
    rows = []
    for begin, first, parts in zip(filters.offset, filters.first, filters.parts, strict=True):
        sound = spectra[first : first + parts]
        whole = np.sum(filters.taps[begin : begin + parts] * sound, axis=0)
        rows.append(np.fft.irfft(whole, 2 * filters.block)[filters.block :: 2])
    return np.array(rows)
