"""Merge polarity: on and off events become events of one polarity.

    on <- true

The binning of one polarity does not look at `on`; a writer of files finds an on event.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters.kind import FilterKind
from retempo.sensors.filters.select import need_grid
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry, GridGeometry


@dataclass(frozen=True, slots=True)
class MergePolarity:
    """Every event is an on event of a sensor with one polarity; no event is removed."""

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "merge-polarity"

    def geometry_after(self, geometry: Geometry) -> GridGeometry:
        """The grid with one polarity.

        Raises:
            FilterError: the sensor is a row of channels.
        """
        return replace(need_grid(geometry, self.name, "leave it out"), polarities=1)

    def start(self, geometry: Geometry) -> None:
        """No state."""

    def apply(self, state: None, chunk: EventChunk) -> tuple[None, EventChunk]:
        """The next chunk, merged."""
        return state, replace(chunk, on=np.ones(len(chunk), np.bool_))


class MergePolaritySettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="merge-polarity",
):
    """No settings."""

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return MergePolarity()


def _parse(argument: str) -> MergePolaritySettings:
    if argument:
        raise FilterError(f"it takes no value, got {argument!r}")
    return MergePolaritySettings()


KIND = FilterKind("merge-polarity", "merge-polarity", MergePolaritySettings, _parse)
