"""Events as they lie in the payload of a wire message: they become columns if somebody asks.

A live message holds some ten events. To make columns of them costs many times what their binning
does, which reads the payload as it is.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

_WORD = np.dtype("<u2")


class Packet(msgspec.Struct, frozen=True, gc=False):
    """The events of one message, unread; `docs/wire-format.md` says how they lie in `raw`.

    Times are `t_start_us` and an offset. `grid` tells `(t, x, y, on)` from `(t, channel)`. The
    polarities have been looked at and are 0 or 1; addresses may lie outside the sensor, as
    those do of events that had come with another polarity.

    Shapes: `raw` `(bytes,)`, read-only, exactly 7 an event of a grid, 4 of a channel sensor, as
    compiled code trusts. `sensors.wire.decode` alone makes packets.
    """

    raw: NDArray[np.uint8]
    count: int
    t_start_us: int
    grid: bool

    def times(self) -> NDArray[np.int64]:
        """Return the column `t_us` of `EventChunk`."""
        t_us = self._words(0, self.count).astype(np.int64)
        t_us += self.t_start_us
        return t_us

    def addresses(self) -> dict[str, NDArray[Any] | None]:
        """Return the other columns by their names.

        They are views of `raw`, or of a copy should it start at an odd address.
        """
        n = self.count
        if not self.grid:
            return {"x": None, "y": None, "on": None, "channel": self._words(n, 2 * n)}
        on = self.raw[6 * n :].view(np.bool_)
        x, y = self._words(n, 2 * n), self._words(2 * n, 3 * n)
        return {"x": x, "y": y, "on": on, "channel": None}

    def _words(self, begin: int, end: int) -> NDArray[np.uint16]:
        words = self.raw[2 * begin : 2 * end].view(_WORD)
        if not words.flags.aligned:
            words = words.copy()
        return words.astype(np.uint16, copy=False)
