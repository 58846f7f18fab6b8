"""Sound to spikes, sample by sample: the compiled kernel and its plain twin.

Both write to the state they are given and return spikes in the order of samples, and of channels
within a sample. Neither depends on how the sound is cut.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.cochlea.coefficients import Coefficients
from retempo.sensors.cochlea.erb import Floats
from retempo.sensors.cochlea.state import State

# Filters that ring out would reach numbers so small that the processor takes a slow path. Tied to
# the sample's number, not to a piece's length, so that the cut does not show.
FLUSH_EVERY = 1_024
FLUSH_BELOW = 1e-100


def spikes_of(
    coefficients: Coefficients, state: State, samples: Floats
) -> tuple[NDArray[np.int64], Floats, NDArray[np.uint16]]:
    """Run the compiled kernel over one piece of sound; writes to `state`.

    Returns:
        For each spike its sample's number, how far through that sample it fell, in (0, 1], and its
        channel.
    """
    room = coefficients.channels * (len(samples) // coefficients.deaf + 1)
    sample, share = np.empty(room, np.int64), np.empty(room)
    channel = np.empty(room, np.uint16)
    spikes = _listen(*coefficients[1:], state.heard, *state[1:], samples, sample, share, channel)
    return sample[:spikes].copy(), share[:spikes].copy(), channel[:spikes].copy()


@njit(cache=True, nogil=True)
def _listen(
    pole_re: Floats,
    pole_im: Floats,
    gain: Floats,
    level: float,
    floor_power: float,
    attack: float,
    release: float,
    exponent: float,
    charge_step: float,
    leak: float,
    deaf: int,
    heard: int,
    power: Floats,
    filter_re: Floats,
    filter_im: Floats,
    charge: Floats,
    hears_at: NDArray[np.int64],
    samples: Floats,
    out_sample: NDArray[np.int64],
    out_share: Floats,
    out_channel: NDArray[np.uint16],
) -> Any:  # pragma: no cover - compiled
    channels = len(gain)
    drive = np.empty(channels)
    re0, re1, re2, re3 = filter_re[0], filter_re[1], filter_re[2], filter_re[3]
    im0, im1, im2, im3 = filter_im[0], filter_im[1], filter_im[2], filter_im[3]
    spikes = 0
    for k in range(len(samples)):
        sample = heard + k
        difference = samples[k] * samples[k] - power[0]
        power[0] += difference * (attack if difference > 0.0 else release)
        x = samples[k] * level / math.sqrt(max(power[0], floor_power))
        for n in range(channels):
            re, im = re0[n], im0[n]
            a = gain[n] * x + pole_re[n] * re - pole_im[n] * im
            b = pole_re[n] * im + pole_im[n] * re
            re0[n], im0[n] = a, b
            re, im = re1[n], im1[n]
            a = a + pole_re[n] * re - pole_im[n] * im
            b = b + pole_re[n] * im + pole_im[n] * re
            re1[n], im1[n] = a, b
            re, im = re2[n], im2[n]
            a = a + pole_re[n] * re - pole_im[n] * im
            b = b + pole_re[n] * im + pole_im[n] * re
            re2[n], im2[n] = a, b
            re, im = re3[n], im3[n]
            a = a + pole_re[n] * re - pole_im[n] * im
            b = b + pole_re[n] * im + pole_im[n] * re
            re3[n], im3[n] = a, b
            drive[n] = a if a > 0.0 else 0.0
        if exponent == 0.5:
            for n in range(channels):
                drive[n] = charge_step * math.sqrt(drive[n]) - leak
        else:
            for n in range(channels):
                drive[n] = charge_step * drive[n] ** exponent - leak
        for n in range(channels):
            after = charge[n] + drive[n]
            if after < 0.0 or hears_at[n] > sample:
                after = 0.0
            if after >= 1.0:
                out_sample[spikes] = sample
                out_share[spikes] = (1.0 - charge[n]) / drive[n]
                out_channel[spikes] = n
                spikes += 1
                after = 0.0
                hears_at[n] = sample + deaf
            charge[n] = after
        if sample % FLUSH_EVERY == 0:
            for array in (filter_re, filter_im):
                for stage in range(len(array)):
                    for n in range(channels):
                        if abs(array[stage, n]) < FLUSH_BELOW:
                            array[stage, n] = 0.0
    return spikes


def spikes_of_plainly(
    coefficients: Coefficients, state: State, samples: Floats
) -> tuple[NDArray[np.int64], Floats, NDArray[np.uint16]]:
    """Do what `spikes_of` does, in NumPy, a sample at a time."""
    c = coefficients
    spikes: list[tuple[int, float, int]] = []
    for sample, value in enumerate(samples.tolist(), state.heard):
        difference = value * value - state.level[0]
        state.level[0] += difference * (c.attack if difference > 0.0 else c.release)
        x = value * c.level / math.sqrt(max(state.level[0], c.floor_power))
        passed_re, passed_im = c.gain * x, np.zeros(c.channels)
        for re, im in zip(state.filter_re, state.filter_im, strict=True):
            passed_re = passed_re + c.pole_re * re - c.pole_im * im
            passed_im = passed_im + c.pole_re * im + c.pole_im * re
            re[:], im[:] = passed_re, passed_im
        drive = c.charge * np.maximum(passed_re, 0.0) ** c.exponent - c.leak
        after = np.where(state.hears_at > sample, 0.0, np.maximum(state.charge + drive, 0.0))
        fired = np.flatnonzero(after >= 1.0)
        share = (1.0 - state.charge[fired]) / drive[fired]
        spikes += zip([sample] * len(fired), share.tolist(), fired.tolist(), strict=True)
        after[fired] = 0.0
        state.charge[:] = after
        state.hears_at[fired] = sample + c.deaf
        if sample % FLUSH_EVERY == 0:
            for array in (state.filter_re, state.filter_im):
                array[np.abs(array) < FLUSH_BELOW] = 0.0
    columns = list(zip(*spikes, strict=True)) or [(), (), ()]
    return (
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float64),
        np.array(columns[2], np.uint16),
    )
