"""Decoded events as one 64-bit word each, and the columns that they unpack to.

A block of packed events is what decoders hand to whoever consumes them, columns or bins alike: it
is small enough to stay in the processor's cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.columns import Columns
from retempo.sensors.events import Addresses, Polarities, Times

Words = NDArray[np.int64]

# From the lowest bit: y in 11 bits, x in 11, the polarity, then the time since the block's base.
Y_BITS, X_BITS, TIME_AT = 11, 11, 23
ON_AT = Y_BITS + X_BITS
Y_MASK, X_MASK = (1 << Y_BITS) - 1, (1 << X_BITS) - 1
# What the sign leaves to the time.
TIME_BITS = 63 - TIME_AT


class Packed(NamedTuple):
    """Events of one block: `time = base_us + (word >> 23)`.

    Shapes: `words` `(events,)`. Units: microseconds.
    """

    words: Words
    base_us: int

    def part(self, begin: int, end: int | None = None) -> "Packed":
        """Some of the events."""
        return Packed(self.words[begin:end], self.base_us)


def columns_of_packed(packed: Packed) -> Columns:
    """Unpack events."""
    events = len(packed.words)
    t_us, on = np.empty(events, np.int64), np.empty(events, np.bool_)
    x, y = np.empty(events, np.uint16), np.empty(events, np.uint16)
    unpack(packed.words, packed.base_us, t_us, x, y, on)
    return Columns(t_us, x, y, on)


@njit(cache=True, nogil=True)
def unpack(
    words: Words, base_us: int, t_us: Times, x: Addresses, y: Addresses, on: Polarities
) -> None:  # pragma: no cover - compiled
    """Write the columns of packed events; all of the shape `(events,)`."""
    for i in range(len(words)):
        word = words[i]
        t_us[i] = base_us + (word >> TIME_AT)
        x[i] = (word >> Y_BITS) & X_MASK
        y[i] = word & Y_MASK
        on[i] = (word >> ON_AT) & 1


def unpack_numpy(
    words: Words, base_us: int, t_us: Times, x: Addresses, y: Addresses, on: Polarities
) -> None:
    """Do what `unpack` does: its plain twin."""
    t_us[:] = base_us + (words >> TIME_AT)
    x[:] = (words >> Y_BITS) & X_MASK
    y[:] = words & Y_MASK
    on[:] = (words >> ON_AT) & 1
