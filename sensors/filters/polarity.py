"""Polarity: the events of one polarity alone.

    keep where on == (keep is "on")

The sensor keeps its polarities, so that a network for two of them still takes it; `merge-polarity`
behind it makes it one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import msgspec

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters.kind import FilterKind
from retempo.sensors.filters.select import need_grid, removing
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry

_Side = Literal["on", "off"]


@dataclass(frozen=True, slots=True)
class Polarity:
    """The events that are `keep`, `on` or `off`."""

    keep: _Side

    def __post_init__(self) -> None:
        if self.keep not in ("on", "off"):
            raise FilterError(f"a polarity is on or off, got {self.keep!r}")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "polarity"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The same grid.

        Raises:
            FilterError: the sensor has no polarities.
        """
        grid = need_grid(geometry, self.name, "leave it out")
        if grid.polarities == 1:
            raise FilterError(
                f"the filter polarity works on a sensor of two polarities, got {geometry}; "
                "leave it out, or put it before merge-polarity"
            )
        return grid

    def start(self, geometry: Geometry) -> None:
        """No state."""

    def apply(self, state: None, chunk: EventChunk) -> tuple[None, EventChunk]:
        """The next chunk, of one polarity."""
        assert chunk.on is not None  # noqa: S101  (the geometry is a grid)
        return state, removing(chunk, chunk.on if self.keep == "on" else ~chunk.on, self.name)


class PolaritySettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="polarity",
):
    """`keep` is `on` or `off`."""

    keep: _Side

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Polarity(self.keep)


def _parse(argument: str) -> PolaritySettings:
    return PolaritySettings(keep=cast(_Side, argument))


KIND = FilterKind("polarity", "polarity=on", PolaritySettings, _parse)
