"""Sound files for tests."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def make_word(pitch_hz: float, rate_hz: int = 8_000, seconds: float = 0.2) -> NDArray[np.float64]:
    """A buzz with a pitch, which swells and dies away."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    tones = sum(np.sin(2.0 * np.pi * k * pitch_hz * t) / k for k in (1, 2, 3))
    sound: NDArray[np.float64] = 0.2 * tones * np.sin(np.pi * t / seconds)
    return sound


def write_word(path: Path, pitch_hz: float = 200.0, rate_hz: int = 8_000) -> Path:
    """Write a buzz in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {".opus": ("OGG", "OPUS"), ".ogg": ("OGG", "VORBIS")}
    kind, subtype = kinds.get(path.suffix, (path.suffix[1:].upper(), None))
    soundfile.write(path, make_word(pitch_hz, rate_hz), rate_hz, format=kind, subtype=subtype)
    return path
