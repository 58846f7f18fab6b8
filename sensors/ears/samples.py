"""Samples of sound as every ear takes them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retempo.sensors.errors import CochleaError

Samples = NDArray[np.float64]

# A louder sample is no sound, and its square may leave the finite numbers.
_LOUDEST = 1e6


def checked(samples: ArrayLike, heard: int) -> Samples:
    """Return samples as float64 `(samples,)`.

    Args:
        samples: full scale is 1.
        heard: how many came before them, for messages.

    Raises:
        CochleaError: a sample is no finite number or beyond a million times full scale, or the
            shape is another.
    """
    sound = np.ascontiguousarray(samples, np.float64)
    if sound.ndim != 1:
        raise CochleaError(f"sound of shape {sound.shape}, expected (samples,); mix it down first")
    wrong = np.flatnonzero(~(np.abs(sound) <= _LOUDEST))
    if len(wrong):
        raise CochleaError(
            f"sample {heard + wrong[0]} of the sound is {sound[wrong[0]]:g}, expected a "
            "finite number, full scale being 1; repair the recording"
        )
    return sound
