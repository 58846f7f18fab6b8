"""Crop: the events within a part of the sensor, whose corner becomes the origin.

    keep where 0 <= x - x0 < width and 0 <= y - y0 < height;    x <- x - x0,  y <- y - y0

Of a row of channels: those from the first on.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numba import njit

from retempo.sensors.errors import FilterError
from retempo.sensors.events import Addresses, EventChunk
from retempo.sensors.filters.kind import FilterKind, whole
from retempo.sensors.filters.select import Keep, removing
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

_EXAMPLE = "crop=10,20,64x48"
_EXAMPLE_CHANNELS = "crop=8,32"


@dataclass(frozen=True, slots=True)
class Crop:
    """The pixels from `(x, y)` on, `width` x `height` of them."""

    x: int
    y: int
    width: int
    height: int

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "crop"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The part alone.

        Raises:
            FilterError: the sensor is a row of channels, or the part exceeds it.
        """
        if not isinstance(geometry, GridGeometry):
            raise FilterError(
                f"the filter crop of pixels works on a grid, got {geometry}; write the first "
                f"channel and how many, as in {_EXAMPLE_CHANNELS}"
            )
        fits = self.x + self.width <= geometry.width and self.y + self.height <= geometry.height
        if not (fits and self.width > 0 and self.height > 0 and self.x >= 0 and self.y >= 0):
            raise FilterError(
                f"the filter crop={self.x},{self.y},{self.width}x{self.height} exceeds the sensor "
                f"of {geometry}; x + width is at most {geometry.width}, y + height "
                f"{geometry.height}, and both sides are 1 or more"
            )
        return replace(geometry, width=self.width, height=self.height)

    def start(self, geometry: Geometry) -> None:
        """No state."""

    def apply(self, state: None, chunk: EventChunk) -> tuple[None, EventChunk]:
        """The next chunk, cropped."""
        assert chunk.x is not None  # noqa: S101  (the geometry is a grid)
        assert chunk.y is not None  # noqa: S101
        keep = np.empty(len(chunk), np.bool_)
        within(chunk.x, chunk.y, self.x, self.y, self.width, self.height, keep)
        kept = removing(chunk, keep, self.name)
        assert kept.x is not None  # noqa: S101
        assert kept.y is not None  # noqa: S101
        return state, replace(kept, x=_moved(kept.x, self.x), y=_moved(kept.y, self.y))


@dataclass(frozen=True, slots=True)
class ChannelCrop:
    """The channels from `first` on, `channels` of them."""

    first: int
    channels: int

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "crop"

    def geometry_after(self, geometry: Geometry) -> ChannelGeometry:
        """The part alone.

        Raises:
            FilterError: the sensor is a grid, or the part exceeds it.
        """
        if isinstance(geometry, GridGeometry):
            raise FilterError(
                f"the filter crop of channels works on a row of channels, got a grid of {geometry};"
                f" write the corner and the size, as in {_EXAMPLE}"
            )
        if not (self.first >= 0 and 0 < self.channels <= geometry.channels - self.first):
            raise FilterError(
                f"the filter crop={self.first},{self.channels} exceeds the sensor of {geometry}; "
                f"the first and how many are together at most {geometry.channels}"
            )
        return ChannelGeometry(self.channels)

    def start(self, geometry: Geometry) -> None:
        """No state."""

    def apply(self, state: None, chunk: EventChunk) -> tuple[None, EventChunk]:
        """The next chunk, cropped."""
        assert chunk.channel is not None  # noqa: S101  (the geometry is a row of channels)
        channel = chunk.channel
        keep = (channel >= self.first) & (channel < self.first + self.channels)
        kept = removing(chunk, keep, self.name)
        assert kept.channel is not None  # noqa: S101
        return state, replace(kept, channel=_moved(kept.channel, self.first))


def _moved(address: Addresses, origin: int) -> Addresses:
    return address - np.uint16(origin) if origin else address


@njit(cache=True, nogil=True)
def within(
    x: Addresses, y: Addresses, x0: int, y0: int, width: int, height: int, keep: Keep
) -> None:  # pragma: no cover - compiled
    """Write to `keep` which events lie within a part; all shapes `(events,)`."""
    # In 16 bits without a branch: an address before the corner wraps to one beyond the part.
    left, top = np.uint16(x0), np.uint16(y0)
    right, bottom = np.uint16(width - 1), np.uint16(height - 1)
    for i in range(len(x)):
        keep[i] = (np.uint16(x[i] - left) <= right) & (np.uint16(y[i] - top) <= bottom)


def within_numpy(
    x: Addresses, y: Addresses, x0: int, y0: int, width: int, height: int, keep: Keep
) -> None:
    """As `within`, in plain NumPy: its twin in the tests."""
    column, row = x.astype(np.int64) - x0, y.astype(np.int64) - y0
    keep[:] = (column >= 0) & (column < width) & (row >= 0) & (row < height)


class CropSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="crop",
):
    """`at = [x, y]` and `size = "64x48"`; of channels `at = [first]` and `size = "32"`."""

    at: list[int]
    size: str

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        if len(self.at) == 1:
            return ChannelCrop(self.at[0], whole(self.size, "the number of channels"))
        if len(self.at) != 2:
            raise FilterError(f"a crop is at [x, y] or [channel], got {self.at}")
        width, _, height = self.size.partition("x")
        x, y = self.at
        return Crop(x, y, whole(width, "a crop's width"), whole(height, "a crop's height"))


def _parse(argument: str) -> CropSettings:
    *at, size = argument.split(",")
    return CropSettings(at=[whole(each, "where a crop begins") for each in at], size=size)


KIND = FilterKind("crop", _EXAMPLE, CropSettings, _parse)
