"""Downsample: squares of pixels become one each, as the binning does it.

x <- floor(x / factor),  y <- floor(y / factor);    sides become ceil(side / factor)
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters.kind import FilterKind, whole
from retempo.sensors.filters.select import need_grid
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry

_LARGEST = 65_535


@dataclass(frozen=True, slots=True)
class Downsample:
    """One pixel for each square of `factor` x `factor`; no event is removed."""

    factor: int

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= _LARGEST:
            raise FilterError(f"a factor is 1 to {_LARGEST}, got {self.factor}")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "downsample"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The grid of squares.

        Raises:
            FilterError: the sensor is a row of channels.
        """
        grid = need_grid(geometry, self.name, "train for fewer channels, or crop them")
        return replace(
            grid, width=-(-grid.width // self.factor), height=-(-grid.height // self.factor)
        )

    def start(self, geometry: Geometry) -> None:
        """No state."""

    def apply(self, state: None, chunk: EventChunk) -> tuple[None, EventChunk]:
        """The next chunk; NumPy divides addresses by a constant at the speed of memory."""
        assert chunk.x is not None  # noqa: S101  (the geometry is a grid)
        assert chunk.y is not None  # noqa: S101
        factor = np.uint16(self.factor)
        return state, replace(chunk, x=chunk.x // factor, y=chunk.y // factor)


class DownsampleSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="downsample",
):
    """`factor` pixels a side become one."""

    factor: int

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Downsample(self.factor)


def _parse(argument: str) -> DownsampleSettings:
    return DownsampleSettings(factor=whole(argument, "a factor"))


KIND = FilterKind("downsample", "downsample=2", DownsampleSettings, _parse)
