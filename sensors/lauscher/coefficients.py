"""The membrane as filters at one sample rate: impulse responses, cut into partitions."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.ears.ear import check_rate
from retempo.sensors.lauscher.membrane import LENGTH, Answers, answer, entry_of

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]
Index = NDArray[np.int64]

_RATES_HZ = (4_000, 192_000)
# Long enough that few partitions make an answer, short against `ahead_ms`.
_BLOCK_MS = 50.0
# How long a place still rings behind its sound.
_BEHIND_MS = 60.0
# What an impulse response may lose at its ends, as a share of its energy.
_LOST_ENERGY = 1e-8


class Filters(NamedTuple):
    """Impulse responses from `ahead` blocks before a sample to behind it, a partition a block.

    Partition `p` of a channel holds the taps `(p - ahead) block` to `(p - ahead + 1) block`, as
    their transform of size `2 block`. `taps` holds the partitions `first` to `first + parts` of one
    channel after the other, from `offset` on.

    Shapes: `taps` `(partitions of all, block + 1)`, `first`, `parts`, `offset` `(channels,)`.
    """

    rate_hz: int
    block: int
    ahead: int
    most_parts: int
    taps: Complex
    first: Index
    parts: Index
    offset: Index

    @property
    def channels(self) -> int:
        """How many places there are."""
        return len(self.first)


@lru_cache(maxsize=4)
def filters_of(channels: int, ahead_ms: float, rate_hz: int) -> Filters:
    """Return the filters of places that lie evenly along the membrane.

    Raises:
        CochleaError: the rate is out of range.
    """
    check_rate(rate_hz, *_RATES_HZ)
    block = 2 ** round(np.log2(_BLOCK_MS * 1e-3 * rate_hz))
    ahead = int(np.ceil(ahead_ms * 1e-3 * rate_hz / block))
    behind = int(np.ceil(_BEHIND_MS * 1e-3 * rate_hz / block))
    entry = entry_of(rate_hz, 2 ** int(np.ceil(np.log2((ahead + behind) * block))))
    taps: list[Complex] = []
    first, parts = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    place_cm = np.linspace(0.0, LENGTH, channels)
    for channel, place in enumerate(place_cm.tolist()):
        response = response_of(place, rate_hz, entry, ahead * block, behind * block)
        rows = response.reshape(-1, block)
        energy = np.cumsum(np.sum(np.square(rows), axis=1))
        kept = np.flatnonzero(
            (energy > _LOST_ENERGY * energy[-1])
            & (np.append(0.0, energy[:-1]) < (1.0 - _LOST_ENERGY) * energy[-1])
        )
        taps.append(np.fft.rfft(rows[kept], 2 * block, axis=1))
        first[channel], parts[channel] = kept[0], len(kept)
    return Filters(
        rate_hz=rate_hz,
        block=block,
        ahead=ahead,
        most_parts=ahead + behind,
        taps=np.concatenate(taps),
        first=first,
        parts=parts,
        offset=np.cumsum(parts) - parts,
    )


def response_of(place: float, rate_hz: int, entry: Answers, before: int, behind: int) -> Floats:
    """Return what a place answers to an impulse, `before` samples ahead of it to `behind` it.

    Published as a transform whose sign of time is the other way round: most of the answer comes
    before the impulse. Shape `(before + behind,)`.
    """
    whole = np.fft.irfft(answer(place, rate_hz, entry))
    return np.concatenate([whole[len(whole) - before :], whole[:behind]])
