"""The other ears against scipy: what each ear computes, over a whole sound, by scipy and NumPy.

The Heidelberg ear's rival convolves with the same impulse responses by `scipy.signal.oaconvolve`
and steps all cells at once, in NumPy; that of Speech2Spikes takes `scipy.signal.stft` and the twin
of its kernel. Both hear the same sound in one process in turn.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve, stft

from retempo.sensors.ears.ear import measured
from retempo.sensors.ears.level import followed
from retempo.sensors.ears.registry import start
from retempo.sensors.lauscher import LauscherSpec
from retempo.sensors.lauscher.bushy_cell import integrate_plainly
from retempo.sensors.lauscher.coefficients import filters_of, response_of
from retempo.sensors.lauscher.hair_cell import hair_at_rest, transduce_plainly
from retempo.sensors.lauscher.hearing import lauscher_of
from retempo.sensors.lauscher.membrane import LENGTH, entry_of
from retempo.sensors.lauscher.nerve import FIBRES
from retempo.sensors.speech2spikes import Speech2SpikesSpec
from retempo.sensors.speech2spikes.delta import modulated_plainly
from retempo.sensors.speech2spikes.mel import bands_of

Sound = NDArray[np.float64]
Runs = tuple[Callable[[], int], Callable[[], int]]


def lauscher(channels: int, rate_hz: int, sound: Sound) -> Runs:
    """Return what hears a sound by the Heidelberg ear, and its rival; each returns its events."""
    spec = LauscherSpec(channels=channels, level="running")
    filters = filters_of(channels, spec.ahead_ms, rate_hz)
    before = filters.ahead * filters.block
    behind = (filters.most_parts - filters.ahead) * filters.block
    entry = entry_of(rate_hz, 2 ** int(np.ceil(np.log2(before + behind))))
    responses = np.array(
        [
            response_of(place, rate_hz, entry, before, behind)
            for place in np.linspace(0.0, LENGTH, channels).tolist()
        ]
    )
    ear = lauscher_of(spec, rate_hz, None)

    def ours() -> int:
        hearing = start(spec, rate_hz)
        state, chunk = hearing.feed(hearing.start, sound)
        return len(chunk) + len(hearing.finish(state))

    def theirs() -> int:
        _, levelled = followed(ear.follower, ear.follower.floor_power, sound)
        heard = oaconvolve(levelled[np.newaxis], responses, axes=1)
        velocity = heard[:, before : before + len(sound)][:, ::2]
        _, rates = transduce_plainly(velocity, ear.step_s, hair_at_rest(channels))
        counts = _draw(rates * ear.step_s, ear.dead_steps)
        return len(integrate_plainly(counts, ear.dead_steps + 1, ear.step_s)[0])

    return ours, theirs


def _draw(probability: Sound, dead_steps: int) -> NDArray[np.int64]:
    rng, counts = np.random.default_rng(0), np.zeros(probability.shape, np.int64)
    for step, p in enumerate(np.minimum(probability, 1.0).T):
        awake = FIBRES - counts[:, max(0, step - dead_steps) : step].sum(axis=1)
        counts[:, step] = rng.binomial(awake, p)
    return counts


def speech2spikes(mels: int, rate_hz: int, sound: Sound) -> Runs:
    """Return what hears a sound by Speech2Spikes, and its rival; each returns its events."""
    spec = Speech2SpikesSpec(mels=mels)
    bands = bands_of(spec, rate_hz)
    size = len(bands.window)

    def ours() -> int:
        hearing = start(spec, rate_hz, measured([sound]))
        return len(hearing.feed(hearing.start, sound)[1])

    def theirs() -> int:
        overlap = size - bands.hop
        _, _, spectra = stft(
            sound, rate_hz, bands.window, size, overlap, boundary=None, padded=False
        )
        power = np.square(np.abs(spectra.T) * bands.window.sum())
        levels = np.log(np.maximum(power @ bands.triangles, bands.floor))
        events, _ = modulated_plainly(levels, bands.threshold, levels[0])
        return int(np.count_nonzero(events))

    return ours, theirs
