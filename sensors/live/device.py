"""What a camera, a socket or a microphone has to do to be a live source."""

from dataclasses import dataclass
from typing import Protocol

from retempo.sensors.columns import AnyColumns
from retempo.sensors.events import Clock
from retempo.sensors.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one look at a device brought.

    `now_us` is the host's clock at the look, `came_us` when the data came, None where none did.
    `reached_us` is the time that the sensor is known to have reached, which also covers silence;
    None where its data say nothing of it. `lost` counts events that are known to be missing before
    these, `fresh` tells that the sensor's clock began anew, `last` that nothing more will come.

    Units: microseconds; the sensor's times and the host's have any origins.
    """

    columns: AnyColumns
    now_us: float
    came_us: float | None = None
    reached_us: int | None = None
    lost: int = 0
    fresh: bool = False
    last: bool = False


class Device(Protocol):
    """Something that is open and can be looked at; one thread reads it, the same closes it."""

    @property
    def name(self) -> str:
        """A short name for messages and streams."""
        ...

    @property
    def about(self) -> str:
        """What it is, as one clause for a person."""
        ...

    @property
    def geometry(self) -> Geometry:
        """The addresses that can fire."""
        ...

    @property
    def clock(self) -> Clock:
        """Whose clock its times are of."""
        ...

    @property
    def foresees(self) -> bool:
        """Whether the host's clock may tell how far the sensor has come while nothing arrives."""
        ...

    def read(self, timeout_s: float) -> Arrival:
        """Wait for data for at most so long, and take what there is.

        Raises:
            LiveError: the device is gone.
        """
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...
