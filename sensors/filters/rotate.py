"""Rotate: the sensor turned clockwise, as a picture whose y grows downwards.

 90: x <- height - 1 - y,  y <- x
180: x <- width - 1 - x,   y <- height - 1 - y
270: x <- y,               y <- width - 1 - x
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters.kind import FilterKind, whole
from retempo.sensors.filters.select import need_grid
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry

_Degrees = Literal[90, 180, 270]


@dataclass(frozen=True, slots=True)
class Rotate:
    """Turned clockwise by `degrees`; the state is the sensor before it is turned."""

    degrees: _Degrees

    def __post_init__(self) -> None:
        if self.degrees not in (90, 180, 270):
            raise FilterError(f"a turn is by 90, 180 or 270 degrees, got {self.degrees}")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "rotate"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The grid, its sides swapped by a quarter turn.

        Raises:
            FilterError: the sensor is a row of channels.
        """
        grid = need_grid(geometry, self.name, "leave it out")
        if self.degrees == 180:
            return grid
        return replace(grid, width=grid.height, height=grid.width)

    def start(self, geometry: Geometry) -> GridGeometry:
        """The sensor: its last address becomes the first."""
        return need_grid(geometry, self.name, "leave it out")

    def apply(self, state: GridGeometry, chunk: EventChunk) -> tuple[GridGeometry, EventChunk]:
        """The next chunk, turned."""
        assert chunk.x is not None  # noqa: S101  (the geometry is a grid)
        assert chunk.y is not None  # noqa: S101
        right, bottom = np.uint16(state.width - 1), np.uint16(state.height - 1)
        if self.degrees == 90:
            return state, replace(chunk, x=bottom - chunk.y, y=chunk.x)
        if self.degrees == 180:
            return state, replace(chunk, x=right - chunk.x, y=bottom - chunk.y)
        return state, replace(chunk, x=chunk.y, y=right - chunk.x)


class RotateSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="rotate",
):
    """`degrees` clockwise: 90, 180 or 270."""

    degrees: _Degrees

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Rotate(self.degrees)


def _parse(argument: str) -> RotateSettings:
    return RotateSettings(degrees=cast(_Degrees, whole(argument, "a turn in degrees")))


KIND = FilterKind("rotate", "rotate=90", RotateSettings, _parse)
