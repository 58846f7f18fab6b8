"""Speech2Spikes over a whole sound, in plain NumPy: the spectrogram at once, then the events."""

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.speech2spikes import Speech2SpikesSpec

Floats = NDArray[np.float64]


def log_mel(samples: Floats, rate_hz: int, spec: Speech2SpikesSpec) -> Floats:
    """Shape `(frames, mels)`; a frame begins every hop, the last one is whole."""
    size, hop = round(spec.window_ms * rate_hz / 1e3), round(spec.hop_ms * rate_hz / 1e3)
    starts = np.arange(0, len(samples) - size + 1, hop)
    window = np.hanning(size + 1)[:-1]
    frames = samples[starts[:, np.newaxis] + np.arange(size)] * window
    power = np.abs(np.fft.fft(frames, axis=1)[:, : size // 2 + 1]) ** 2
    return np.asarray(np.log(np.maximum(power @ filterbank(rate_hz, size, spec), spec.floor)))


def filterbank(rate_hz: int, size: int, spec: Speech2SpikesSpec) -> Floats:
    high_hz = min(spec.high_hz, rate_hz / 2)
    mel = np.linspace(to_mel(spec.low_hz), to_mel(high_hz), spec.mels + 2)
    peaks = 700.0 * (10.0 ** (mel / 2_595.0) - 1.0)
    hz = np.arange(size // 2 + 1) * rate_hz / size
    columns = []
    for low, peak, high in zip(peaks[:-2], peaks[1:-1], peaks[2:], strict=True):
        columns.append(np.interp(hz, [low, peak, high], [0.0, 1.0, 0.0], left=0.0, right=0.0))
    return np.array(columns).T


def to_mel(hz: float) -> float:
    return float(2_595.0 * np.log10(1.0 + hz / 700.0))


def events(samples: Floats, rate_hz: int, spec: Speech2SpikesSpec) -> list[tuple[int, int]]:
    """Times in us and channels, in the order of both."""
    size, hop = round(spec.window_ms * rate_hz / 1e3), round(spec.hop_ms * rate_hz / 1e3)
    found = []
    bands = log_mel(samples, rate_hz, spec)
    for mel, band in enumerate(bands.T):
        reached = band[0]
        for frame, value in enumerate(band):
            t_us = (size + frame * hop) * 1_000_000 // rate_hz
            if value - reached > spec.threshold:
                reached += spec.threshold
                found.append((t_us, mel))
            elif reached - value > spec.threshold:
                reached -= spec.threshold
                found.append((t_us, spec.mels + mel))
    return sorted(found)
