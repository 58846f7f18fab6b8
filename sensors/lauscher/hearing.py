"""Sound to the spikes of bushy cells: pure, with the state in and out."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from retempo.sensors.ears.ear import Ear, Hearing, Whole
from retempo.sensors.ears.level import Follower, followed, share
from retempo.sensors.ears.samples import Samples, checked
from retempo.sensors.errors import CochleaError
from retempo.sensors.events import Addresses, EventChunk, Times
from retempo.sensors.lauscher.bushy_cell import DEAF_S, integrate
from retempo.sensors.lauscher.coefficients import Filters, Floats, filters_of
from retempo.sensors.lauscher.convolution import velocity_of
from retempo.sensors.lauscher.hair_cell import transduce
from retempo.sensors.lauscher.nerve import DEAD_S, Counts, fire
from retempo.sensors.lauscher.spec import LauscherSpec
from retempo.sensors.lauscher.state import State, copy_of, new_state


class Lauscher(NamedTuple):
    """The ear at a sample rate; `whole` is set where a recording is levelled as one."""

    filters: Filters
    follower: Follower
    whole: Whole | None
    seed: int

    @property
    def step_s(self) -> float:
        """Cells are stepped at half the sample rate."""
        return 2.0 / self.filters.rate_hz

    @property
    def dead_steps(self) -> int:
        """For how many steps after one a fibre does not fire."""
        return _steps(DEAD_S, self.step_s) - 1


def lauscher_of(spec: LauscherSpec, rate_hz: int, whole: Whole | None) -> Lauscher:
    """Return the ear at a sample rate.

    Raises:
        CochleaError: the rate is out of range, or the sound has no end and the settings want one.
    """
    if spec.level == "recording" and whole is None:
        raise CochleaError(
            "the ear lauscher brings a recording to its loudness as a whole, and this sound has no "
            "end yet; set level=running"
        )
    follower = Follower(
        attack=share(spec.attack_ms, rate_hz),
        release=share(spec.release_ms, rate_hz),
        floor_power=spec.floor**2,
        level=spec.loudness,
    )
    filters = filters_of(spec.channels, spec.ahead_ms, rate_hz)
    return Lauscher(filters, follower, whole if spec.level == "recording" else None, spec.seed)


def start(ear: Lauscher) -> State:
    """Return the state of an ear that has heard nothing."""
    return new_state(ear.filters, ear.dead_steps, ear.follower.floor_power)


def feed(ear: Lauscher, state: State, samples: ArrayLike) -> tuple[State, EventChunk]:
    """Hear the next piece of sound.

    Raises:
        CochleaError: see `ears.samples.checked`.
    """
    sound = checked(samples, state.heard)
    power, sound = _levelled(ear, state, sound)
    heard = state.heard + len(sound)
    after = copy_of(state)._replace(heard=heard, power=power)
    return _listen(ear, after, np.concatenate([state.waiting, sound]), None)


def finish(ear: Lauscher, state: State) -> EventChunk:
    """Return what the ear still makes of the sound, now that it has ended."""
    block = ear.filters.block
    steps = state.heard // 2 + 1
    blocks = ear.filters.ahead + -(-2 * steps // block) - state.blocks
    silence = np.zeros(max(blocks * block - len(state.waiting), 0))
    _, chunk = _listen(ear, copy_of(state), np.concatenate([state.waiting, silence]), steps)
    t_end_us = state.heard * 1_000_000 // ear.filters.rate_hz
    return EventChunk(chunk.t_us, t_end_us, channel=chunk.channel)


def rates_of(ear: Lauscher, state: State, velocity: Floats) -> Floats:
    """Step the hair cells over a block; writes to the state. Shapes: `(channels, steps)`."""
    rate_hz = np.empty_like(velocity)
    transduce(velocity, ear.step_s, *state.hair, rate_hz)
    return rate_hz


def _listen(
    ear: Lauscher, state: State, sound: Samples, last_step: int | None
) -> tuple[State, EventChunk]:
    block = ear.filters.block
    steps, channels = [np.zeros(0, np.int64)], [np.zeros(0, np.uint16)]
    before = state.before
    for begin in range(0, len(sound) - block + 1, block):
        now = sound[begin : begin + block]
        state.spectra[1:] = state.spectra[:-1]
        state.spectra[0] = np.fft.rfft(np.concatenate([before, now]))
        before, state = now, state._replace(blocks=state.blocks + 1)
        if state.blocks > ear.filters.ahead:
            velocity = velocity_of(ear.filters, state.spectra)
            if last_step is not None:
                velocity = velocity[:, : max(last_step - state.steps, 0)].copy()
            step, channel = _spikes(ear, state, velocity)
            steps.append(step)
            channels.append(channel)
            state = state._replace(steps=state.steps + velocity.shape[1])
    rest = sound[len(sound) // block * block :].copy()
    step, channel = np.concatenate(steps), np.concatenate(channels)
    order = np.lexsort((channel, step))
    t_end_us = int(_times_us(ear, np.array(max(state.steps - 1, 0))))
    chunk = EventChunk(_times_us(ear, step[order]), t_end_us, channel=channel[order])
    return state._replace(waiting=rest, before=np.array(before)), chunk


def _spikes(ear: Lauscher, state: State, velocity: Floats) -> tuple[Counts, Addresses]:
    rate_hz = rates_of(ear, state, velocity)
    bushy = state.bushy
    counts = np.empty((len(velocity), velocity.shape[1]), np.int64)
    at = (state.steps, ear.dead_steps, ear.step_s)
    fire(ear.seed, *at, rate_hz, bushy.fired, bushy.dead, counts)
    deaf_steps = _steps(DEAF_S, ear.step_s)
    channels, steps = velocity.shape
    room = channels * (steps // deaf_steps + 2)
    step, channel = np.empty(room, np.int64), np.empty(room, np.uint16)
    cells = (bushy.current, bushy.potential, bushy.deaf)
    spikes = integrate(counts, state.steps, deaf_steps, ear.step_s, *cells, step, channel)
    return step[:spikes].copy(), channel[:spikes].copy()


def _levelled(ear: Lauscher, state: State, sound: Samples) -> tuple[float, Samples]:
    if ear.whole is None:
        return followed(ear.follower, state.power, sound)
    loudness = math.sqrt(ear.whole.power)
    gain = ear.follower.level / loudness if loudness > 0.0 else 0.0
    return state.power, sound * gain * faded(ear.whole.samples, state.heard, len(sound))


def faded(samples: int, begin: int, size: int) -> Floats:
    """Return the part of a raised cosine over a whole sound, its middle sample left as it is.

    Both halves are those of `numpy.hanning(2 (samples // 2))`, as the data sets have them.
    """
    half = samples // 2
    index = np.arange(begin, begin + size)
    end = np.minimum(index, samples - 1 - index)
    fade = 0.5 - 0.5 * np.cos(2.0 * np.pi * end / max(2 * half - 1, 1))
    return np.where(end < half, fade, 1.0)


def _steps(time_s: float, step_s: float) -> int:
    # 1e-3 s at 24 kHz is 24 steps, whatever the division leaves behind the point.
    return math.ceil(round(time_s / step_s, 9))


def _times_us(ear: Lauscher, step: Counts) -> Times:
    return np.asarray(np.rint(step * (1e6 * ear.step_s)), np.int64)


def _hearing(spec: LauscherSpec, rate_hz: int, whole: Whole | None) -> Hearing[State]:
    ear = lauscher_of(spec, rate_hz, whole)
    return Hearing(start(ear), partial(feed, ear), partial(finish, ear))


EAR = Ear(
    "lauscher",
    LauscherSpec,
    lambda spec: spec.channels,
    _hearing,
    wants_whole=lambda spec: spec.level == "recording",
)
