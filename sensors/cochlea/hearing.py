"""Sound to event chunks: pure, with the state in and out."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retempo.sensors.cochlea.coefficients import Coefficients, coefficients_of
from retempo.sensors.cochlea.erb import Floats
from retempo.sensors.cochlea.kernel import spikes_of
from retempo.sensors.cochlea.spec import CochleaSpec
from retempo.sensors.cochlea.state import State, copy_of, new_state
from retempo.sensors.ears.ear import Ear, Hearing, Whole
from retempo.sensors.ears.samples import checked
from retempo.sensors.events import EventChunk, Times

Kernel = Callable[
    [Coefficients, State, Floats], tuple[NDArray[np.int64], Floats, NDArray[np.uint16]]
]

# Bounds what the kernel sets aside for spikes.
_PIECE = 1_024


def hear(
    coefficients: Coefficients, state: State, samples: ArrayLike, kernel: Kernel = spikes_of
) -> tuple[State, EventChunk]:
    """Hear the next piece of sound; however a sound is cut, its events are the same.

    The watermark is the time of the last sample. Events are in the order of time, then of channel.

    Args:
        coefficients: the cochlea, see `coefficients_of`.
        state: what the piece before left, or `new_state`; it is not written to.
        samples: full scale is 1; shape `(samples,)`.
        kernel: the compiled one, or its twin.

    Raises:
        CochleaError: see `ears.samples.checked`.
    """
    sound = checked(samples, state.heard)
    after = copy_of(state)
    times, channels = [np.zeros(0, np.int64)], [np.zeros(0, np.uint16)]
    for begin in range(0, len(sound), _PIECE):
        piece = sound[begin : begin + _PIECE]
        sample, share, channel = kernel(coefficients, after, piece)
        times.append(_times_us(coefficients.rate_hz, sample, share))
        channels.append(channel)
        after = after._replace(heard=after.heard + len(piece))
    t_us, channel = np.concatenate(times), np.concatenate(channels)
    order = np.lexsort((channel, t_us))
    t_end_us = after.heard * 1_000_000 // coefficients.rate_hz
    return after, EventChunk(t_us[order], t_end_us, channel=channel[order])


def hear_whole(samples: ArrayLike, rate_hz: int, spec: CochleaSpec) -> EventChunk:
    """Hear a whole sound; see `hear`."""
    coefficients = coefficients_of(spec, rate_hz)
    return hear(coefficients, new_state(coefficients), samples)[1]


def _times_us(rate_hz: int, sample: NDArray[np.int64], share: Floats) -> Times:
    """Whole microseconds within the step that ends with a sample.

    Step `k` has the microseconds `floor(k T) + 1` to `floor((k + 1) T)` to itself, so that no cut
    between samples can part events that belong together.
    """
    begin = sample * 1_000_000 // rate_hz
    end = (sample + 1) * 1_000_000 // rate_hz
    t_us = np.rint((sample + share) * (1e6 / rate_hz)).astype(np.int64)
    return np.clip(t_us, begin + 1, end)


def _hearing(spec: CochleaSpec, rate_hz: int, whole: Whole | None) -> Hearing[State]:
    del whole
    coefficients = coefficients_of(spec, rate_hz)
    return Hearing(new_state(coefficients), partial(hear, coefficients), partial(_end, rate_hz))


def _end(rate_hz: int, state: State) -> EventChunk:
    t_end_us = state.heard * 1_000_000 // rate_hz
    return EventChunk(np.zeros(0, np.int64), t_end_us, channel=np.zeros(0, np.uint16))


EAR = Ear("gammatone", CochleaSpec, lambda spec: spec.channels, _hearing)
