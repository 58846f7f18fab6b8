"""Sound to the events of mel bands: pure, with the state in and out."""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retempo.sensors.ears.ear import Ear, Hearing, Whole
from retempo.sensors.ears.samples import Samples, checked
from retempo.sensors.events import EventChunk, Times
from retempo.sensors.speech2spikes.delta import modulated
from retempo.sensors.speech2spikes.mel import Bands, Floats, bands_of, log_bands
from retempo.sensors.speech2spikes.spec import Speech2SpikesSpec


class State(NamedTuple):
    """Samples heard, those that frames to come still reach back to, frames done, and the bands.

    Shapes: `waiting` `(samples,)`; `reached` `(mels,)`, see `delta`.
    """

    heard: int
    waiting: Samples
    frames: int
    reached: Floats


def start(bands: Bands) -> State:
    """Return the state of an ear that has heard nothing."""
    return State(0, np.zeros(0), 0, np.zeros(bands.mels))


def feed(bands: Bands, state: State, samples: ArrayLike) -> tuple[State, EventChunk]:
    """Hear the next piece of sound; a frame's events come at the time of its last sample.

    Raises:
        CochleaError: see `ears.samples.checked`.
    """
    sound = checked(samples, state.heard)
    heard = state.heard + len(sound)
    sound = np.concatenate([state.waiting, sound])
    size, hop = len(bands.window), bands.hop
    count = max(0, (len(sound) - size) // hop + 1)
    events, reached = np.zeros((0, bands.mels), np.int8), state.reached
    if count:
        frames = np.lib.stride_tricks.sliding_window_view(sound, size)[: count * hop : hop]
        levels = log_bands(bands, frames)
        events, reached = modulated(
            levels, bands.threshold, reached if state.frames else levels[0].copy()
        )
    up, down = events > 0, events < 0
    frame, channel = np.nonzero(np.concatenate([up, down], axis=1))
    last_sample = size + (state.frames + frame) * hop
    chunk = EventChunk(
        t_us=_time_us(bands, last_sample),
        t_end_us=heard * 1_000_000 // bands.rate_hz,
        channel=channel.astype(np.uint16),
    )
    rest = sound[count * hop :].copy()
    return State(heard, rest, state.frames + count, reached), chunk


def _time_us(bands: Bands, samples: NDArray[np.int64]) -> Times:
    return samples.astype(np.int64) * 1_000_000 // bands.rate_hz


def _finish(bands: Bands, state: State) -> EventChunk:
    t_end_us = state.heard * 1_000_000 // bands.rate_hz
    return EventChunk(np.zeros(0, np.int64), t_end_us, channel=np.zeros(0, np.uint16))


def _hearing(spec: Speech2SpikesSpec, rate_hz: int, whole: Whole | None) -> Hearing[State]:
    del whole
    bands = bands_of(spec, rate_hz)
    return Hearing(start(bands), partial(feed, bands), partial(_finish, bands))


EAR = Ear("speech2spikes", Speech2SpikesSpec, lambda spec: 2 * spec.mels, _hearing)
