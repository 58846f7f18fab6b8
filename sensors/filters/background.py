"""Background activity: what no neighbour supports is noise (Delbruck 2008).

    keep where |t - s| <= span,    s the time of the last event of any of the 8 neighbours

"Frame-free dynamic digital vision", Proc. Intl. Symp. on Secure-Life Electronics, pp. 21-26. An
event supports its neighbours whether it is kept or not, and whatever its polarity; a pixel does
not support itself. The distance counts in both directions: an event that comes late is supported by
a neighbour that fired shortly after it. After a jump of the clock, either way, nothing is supported
until neighbours have fired on the new side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.errors import FilterError
from retempo.sensors.events import Addresses, EventChunk, Times
from retempo.sensors.filters.kind import FilterKind, span_of
from retempo.sensors.filters.select import LATEST, NEVER, Keep, flat_addresses, need_grid, removing
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry

LastTimes = NDArray[np.int64]


class BackgroundState(NamedTuple):
    """When a neighbour of each pixel fired last, with a margin of one pixel that nobody reads.

    Shapes: `supported_us` `(height + 2, width + 2)`.
    """

    geometry: GridGeometry
    supported_us: LastTimes


@dataclass(frozen=True, slots=True)
class Background:
    """Only events that a neighbour has fired within `span_us` of."""

    span_us: int

    def __post_init__(self) -> None:
        if self.span_us < 1:
            raise FilterError(f"a span of support is 1 us or more, got {self.span_us} us")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "background"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The same grid.

        Raises:
            FilterError: the sensor is a row of channels.
        """
        return need_grid(geometry, self.name, "use refractory or hot-pixels for channels")

    def start(self, geometry: Geometry) -> BackgroundState:
        """Nobody has fired."""
        grid = self.geometry_after(geometry)
        shape = (grid.height + 2, grid.width + 2)
        return BackgroundState(grid, np.full(shape, NEVER, np.int64))

    def apply(
        self, state: BackgroundState, chunk: EventChunk
    ) -> tuple[BackgroundState, EventChunk]:
        """The next chunk, without what nothing supports."""
        x, y, _ = flat_addresses(chunk, state.geometry)
        keep = np.empty(len(chunk), np.bool_)
        supported(chunk.t_us, x, y, self.span_us, state.supported_us, keep)
        return state, removing(chunk, keep, self.name)


@njit(cache=True, nogil=True)
def supported(
    t_us: Times, x: Addresses, y: Addresses, span_us: int, supported_us: LastTimes, keep: Keep
) -> None:  # pragma: no cover - compiled
    """Write to `keep` which events a neighbour supports, and to `supported_us` whom they support.

    Shapes: event columns and `keep` `(events,)`, `supported_us` `(height + 2, width + 2)`.
    """
    stride = np.uint64(supported_us.shape[1])
    one, two = np.uint64(1), np.uint64(2)
    flat = supported_us.reshape(-1)
    for i in range(len(t_us)):
        t = t_us[i]
        # Neither end may leave 64 bits, and none may reach NEVER.
        low = t - span_us if t > NEVER + span_us else NEVER + 1
        high = t + span_us if t < LATEST - span_us else LATEST
        above = np.uint64(y[i]) * stride + np.uint64(x[i])
        beside = above + stride
        below = beside + stride
        last = flat[beside + one]
        keep[i] = (low <= last) & (last <= high)
        # Telling eight neighbours is three times as fast as asking them.
        flat[above] = t
        flat[above + one] = t
        flat[above + two] = t
        flat[beside] = t
        flat[beside + two] = t
        flat[below] = t
        flat[below + one] = t
        flat[below + two] = t


def supported_numpy(
    t_us: Times, x: Addresses, y: Addresses, span_us: int, supported_us: LastTimes, keep: Keep
) -> None:
    """As `supported`, in plain Python integers: its twin in the tests."""
    for i, (t, column, row) in enumerate(zip(t_us.tolist(), x.tolist(), y.tolist(), strict=True)):
        last = int(supported_us[row + 1, column + 1])
        keep[i] = last != NEVER and abs(t - last) <= span_us
        supported_us[row : row + 3, column : column + 3] = t
        supported_us[row + 1, column + 1] = last


class BackgroundSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="background",
):
    """`span` is a duration."""

    span: str

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Background(span_of(self.span))


def _parse(argument: str) -> BackgroundSettings:
    return BackgroundSettings(span=argument)


KIND = FilterKind("background", "background=5ms", BackgroundSettings, _parse)
