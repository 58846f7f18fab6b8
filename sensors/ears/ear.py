"""What an ear has to say about itself to hear."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from retempo.sensors.errors import CochleaError
from retempo.sensors.events import EventChunk

S = TypeVar("S")
Spec = TypeVar("Spec")


class Whole(NamedTuple):
    """What can be known of a sound only at its end: its length and its mean square."""

    samples: int
    power: float


@dataclass(frozen=True, slots=True)
class Hearing(Generic[S]):
    """An ear at a sample rate, as pure functions; how a sound is cut never changes its events.

    `start` is the state before the first sample. `feed(state, samples)` hears the next ones: mono,
    full scale 1. `finish(state)` gives what the end of the sound lets out. The watermark of a chunk
    is how far its ear has made up its mind: an ear that looks ahead lags behind the samples.
    """

    start: S
    feed: Callable[[S, ArrayLike], tuple[S, EventChunk]]
    finish: Callable[[S], EventChunk]


@dataclass(frozen=True, slots=True)
class Ear(Generic[Spec]):
    """A row of the registry: an ear by its name and its settings.

    `channels(settings)` is how many can fire. `hearing(settings, rate_hz, whole)` is the ear at a
    sample rate; `whole` is None where the sound has not ended, as that of a microphone.
    `wants_whole(settings)` says that it cannot do without.
    """

    name: str
    spec: type[Spec]
    channels: Callable[[Spec], int]
    hearing: Callable[[Spec, int, Whole | None], Hearing[Any]]
    wants_whole: Callable[[Spec], bool] = lambda _: False


def measured(pieces: Iterable[ArrayLike]) -> Whole:
    """Return the length and the mean square of a sound, in one pass."""
    samples, total = 0, 0.0
    for piece in pieces:
        sound = np.asarray(piece, np.float64)
        samples += len(sound)
        total += float(np.sum(np.square(sound)))
    return Whole(samples, total / samples if samples else 0.0)


def check_numbers(spec: Any, may_be_zero: tuple[str, ...] = ()) -> None:
    """Check that every number of an ear's settings is finite and positive.

    Raises:
        CochleaError: one is not; the text names it.
    """
    for name in spec.__struct_fields__:
        value = getattr(spec, name)
        if not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            raise CochleaError(f"{name} is {value}, expected a finite number")
        if value <= 0 and name not in may_be_zero:
            raise CochleaError(f"{name} is {value:g}, expected more than 0")
        if value < 0:
            raise CochleaError(f"{name} is {value:g}, expected 0 or more")


def check_rate(rate_hz: int, low_hz: int, high_hz: int) -> None:
    """Check that a sample rate is one that an ear can hear.

    Raises:
        CochleaError: it is not.
    """
    if not low_hz <= rate_hz <= high_hz:
        raise CochleaError(f"sound at {rate_hz} Hz, expected {low_hz} to {high_hz} Hz")
