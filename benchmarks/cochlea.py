"""The ears against scipy: the cochlea's rival here, those of the others in `benchmarks.ears`.

    python -m benchmarks.cochlea

The cochlea's rival filters each channel with four complex one-poles by `lfilter`, one after the
other, and encodes all channels at once, a sample at a time. Both hear the same sound in one process
in turn.
"""

import platform
import time
from collections.abc import Callable

import msgspec
import numba
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.ears import Runs, lauscher, speech2spikes
from retempo.sensors.cochlea import (
    CochleaSpec,
    Coefficients,
    State,
    coefficients_of,
    hear,
    new_state,
)

RATE_HZ = 16_000
SECONDS = 2.0
ROUNDS = 5
CHANNELS = (64, 700)

Spikes = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint16]]


def rival(coefficients: Coefficients, state: State, samples: NDArray[np.float64]) -> Spikes:
    """Do what the kernel does over a whole sound; a kernel for `hear`, but for its own state."""
    c = coefficients
    levelled = _levelled(c, state, samples)
    drive = np.empty((len(samples), c.channels))
    for n in range(c.channels):
        passed = c.gain[n] * levelled.astype(np.complex128)
        pole = complex(c.pole_re[n], c.pole_im[n])
        for _ in range(len(state.filter_re)):
            passed = np.asarray(lfilter([1.0], [1.0, -pole], passed))
        drive[:, n] = np.sqrt(np.maximum(passed.real, 0.0))
    drive = c.charge * drive - c.leak
    samples_of, shares, channels = [], [], []
    for sample, row in enumerate(drive):
        after = np.where(state.hears_at > sample, 0.0, np.maximum(state.charge + row, 0.0))
        fired = np.flatnonzero(after >= 1.0)
        samples_of.append(np.full(len(fired), sample, np.int64))
        shares.append((1.0 - state.charge[fired]) / row[fired])
        channels.append(fired.astype(np.uint16))
        after[fired] = 0.0
        state.charge[:] = after
        state.hears_at[fired] = sample + c.deaf
    return np.concatenate(samples_of), np.concatenate(shares), np.concatenate(channels)


def _levelled(c: Coefficients, state: State, samples: NDArray[np.float64]) -> NDArray[np.float64]:
    power, gains = float(state.level[0]), np.empty(len(samples))
    for k, value in enumerate(samples.tolist()):
        difference = value * value - power
        power += difference * (c.attack if difference > 0.0 else c.release)
        gains[k] = c.level / np.sqrt(max(power, c.floor_power))
    return samples * gains


def sound() -> NDArray[np.float64]:
    """Noise that swells and dies away three times a second, as speech does."""
    t = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    swell: NDArray[np.float64] = np.sin(np.pi * 3.0 * t) ** 2
    return np.random.default_rng(0).normal(0.0, 0.1, len(t)) * swell


def _seconds(run: Callable[[], int]) -> tuple[float, int]:
    began = time.process_time()
    events = run()
    return time.process_time() - began, events


def gammatone(channels: int, rate_hz: int, samples: NDArray[np.float64]) -> Runs:
    """Return what hears a sound by the gammatones, and its rival; each returns its events."""
    spec = msgspec.structs.replace(CochleaSpec(), channels=channels)
    coefficients = coefficients_of(spec, rate_hz)

    def ours() -> int:
        return len(hear(coefficients, new_state(coefficients), samples)[1])

    def theirs() -> int:
        return len(rival(coefficients, new_state(coefficients), samples)[0])

    return ours, theirs


def measure(name: str, channels: int, runs: Runs) -> None:
    """Print how much faster than the sound both are, and their ratio."""
    ours, theirs = runs
    ours()
    both = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (np.array([pair[side][0] for pair in both]) for side in (0, 1))
    events = [both[0][side][1] for side in (0, 1)]
    ratio = other / mine
    print(
        f"| {name} | {channels} | {SECONDS / np.median(mine):.3g} "
        f"| {SECONDS / np.median(other):.2g} "
        f"| {np.median(ratio):.2g} ({ratio.min():.2g} to {ratio.max():.2g}) "
        f"| {events[0]:,} / {events[1]:,} |"
    )


def main() -> None:
    """Measure every ear at a few numbers of channels."""
    print(
        "# The speed of the ears\n\n"
        "    make bench    # python -m benchmarks.cochlea\n\n"
        f"Seconds of sound at {RATE_HZ} Hz a second of processor time, medians of {ROUNDS} rounds\n"
        "in turn in one process and thread. The rival of the gammatones is a bank of\n"
        "`scipy.signal.lfilter` and the same encoder in NumPy, that of the Heidelberg ear\n"
        "`scipy.signal.oaconvolve` with the same impulse responses and the same cells in NumPy\n"
        "(other random numbers), that of Speech2Spikes `scipy.signal.stft` and the same\n"
        "modulation in NumPy. The ratio is the median over rounds (least to most).\n"
        f"numba {numba.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"{platform.machine()}.\n\n"
        "| ear | channels | retempo | scipy | ratio | events, retempo / scipy |\n"
        "|---|---|---|---|---|---|"
    )
    samples = sound()
    for channels in CHANNELS:
        measure("gammatone", channels, gammatone(channels, RATE_HZ, samples))
    for channels in CHANNELS:
        measure("lauscher", channels, lauscher(channels, RATE_HZ, samples))
    measure("speech2spikes", 40, speech2spikes(20, RATE_HZ, samples))


if __name__ == "__main__":
    main()
