"""The addresses that a sensor can fire at."""

from dataclasses import dataclass

from retempo.sensors.errors import GeometryError

_MAX_SIDE = 65_536


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """A grid of `width` x `height` pixels with one or two polarities."""

    width: int
    height: int
    polarities: int = 2

    def __post_init__(self) -> None:
        if not (1 <= self.width <= _MAX_SIDE and 1 <= self.height <= _MAX_SIDE):
            raise GeometryError(
                f"a grid has 1 to {_MAX_SIDE} pixels a side, got {self.width}x{self.height}"
            )
        if self.polarities not in (1, 2):
            raise GeometryError(f"a grid has 1 or 2 polarities, got {self.polarities}")

    @property
    def addresses(self) -> int:
        """How many distinct addresses can fire."""
        return self.width * self.height * self.polarities

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.polarities}"


@dataclass(frozen=True, slots=True)
class ChannelGeometry:
    """A row of `channels` channels, as of a cochlea."""

    channels: int

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= _MAX_SIDE:
            raise GeometryError(f"a sensor has 1 to {_MAX_SIDE} channels, got {self.channels}")

    @property
    def addresses(self) -> int:
        """How many distinct addresses can fire."""
        return self.channels

    def __str__(self) -> str:
        return f"{self.channels} channels"


Geometry = GridGeometry | ChannelGeometry
