"""Flip: the sensor mirrored.

by x: x <- width - 1 - x;    by y: y <- height - 1 - y
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters.kind import FilterKind
from retempo.sensors.filters.select import need_grid
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry

_Axis = Literal["x", "y"]


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirrored left to right (`x`) or top to bottom (`y`); the state is the sensor."""

    axis: _Axis

    def __post_init__(self) -> None:
        if self.axis not in ("x", "y"):
            raise FilterError(f"a flip is by x or by y, got {self.axis!r}")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "flip"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The same grid.

        Raises:
            FilterError: the sensor is a row of channels.
        """
        return need_grid(geometry, self.name, "leave it out")

    def start(self, geometry: Geometry) -> GridGeometry:
        """The sensor: its last address becomes the first."""
        return self.geometry_after(geometry)

    def apply(self, state: GridGeometry, chunk: EventChunk) -> tuple[GridGeometry, EventChunk]:
        """The next chunk, mirrored."""
        assert chunk.x is not None  # noqa: S101  (the geometry is a grid)
        assert chunk.y is not None  # noqa: S101
        if self.axis == "x":
            return state, replace(chunk, x=np.uint16(state.width - 1) - chunk.x)
        return state, replace(chunk, y=np.uint16(state.height - 1) - chunk.y)


class FlipSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="flip",
):
    """`axis` is `x` or `y`."""

    axis: _Axis

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Flip(self.axis)


def _parse(argument: str) -> FlipSettings:
    return FlipSettings(axis=cast(_Axis, argument))


KIND = FilterKind("flip", "flip=x", FlipSettings, _parse)
