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
    polarities have been looked at and are 0 or 1; addresses may lie outside the sensor.

    Shapes: `raw` `(bytes,)`, read-only, 7 an event of a grid, 4 of a channel sensor.
    """

    raw: NDArray[np.uint8]
    count: int
    t_start_us: int
    grid: bool

    def columns(self) -> dict[str, NDArray[Any] | None]:
        """Return the columns by the names of `EventChunk`.

        Addresses and polarities are views of `raw`, or of a copy should it start at an odd address.
        """
        n = self.count
        words = self.raw[: n * (6 if self.grid else 4)].view(_WORD)
        if not words.flags.aligned:
            words = words.copy()
        words = words.astype(np.uint16, copy=False)
        t_us = words[:n].astype(np.int64)
        t_us += self.t_start_us
        if not self.grid:
            return {"t_us": t_us, "x": None, "y": None, "on": None, "channel": words[n:]}
        on = self.raw[6 * n :].view(np.bool_)
        return {"t_us": t_us, "x": words[n : 2 * n], "y": words[2 * n :], "on": on, "channel": None}
