"""What a file format has to say about itself to be readable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import Addresses, Polarities, Times
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Decoded events of a grid sensor, in the order of the file.

    Shapes: every column is `(events,)`. Units: microseconds.
    """

    t_us: Times
    x: Addresses
    y: Addresses
    on: Polarities

    def __len__(self) -> int:
        return len(self.t_us)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelColumns:
    """Decoded events of a channel sensor, in the order of the file.

    Shapes: every column is `(events,)`. Units: microseconds.
    """

    t_us: Times
    channel: Addresses

    def __len__(self) -> int:
        return len(self.t_us)


AnyColumns = Columns | ChannelColumns


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose head has been checked; `decode` reads it afresh at each call.

    `whole` says that `decode` yields the file as one piece, so that the watermark of each chunk
    can be computed from the events that follow it.
    """

    geometry: Geometry
    decode: Callable[[], Iterator[AnyColumns]]
    whole: bool


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the registry: how to recognise and to open one file format.

    `sniff(head, path)` judges the first bytes of the file; `open(path, head, geometry)` checks
    the head and raises a RecordingError where it does not hold.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    open: Callable[[Path, bytes, Geometry | None], Opened]


def of_grid(
    open_grid: Callable[[Path, bytes, GridGeometry | None], Opened],
) -> Callable[[Path, bytes, Geometry | None], Opened]:
    """Let a format of pixels refuse the claim that its sensor is a row of channels."""

    def opened(path: Path, head: bytes, geometry: Geometry | None) -> Opened:
        if geometry is None or isinstance(geometry, GridGeometry):
            return open_grid(path, head, geometry)
        raise RecordingError(
            f"{path} holds events of a pixel grid, the geometry given is {geometry}; "
            "give a GridGeometry or none"
        )

    return opened


def of_channels(
    open_channels: Callable[[Path, bytes, ChannelGeometry | None], Opened],
) -> Callable[[Path, bytes, Geometry | None], Opened]:
    """Let a format of channels refuse the claim that its sensor is a grid of pixels."""

    def opened(path: Path, head: bytes, geometry: Geometry | None) -> Opened:
        if geometry is None or isinstance(geometry, ChannelGeometry):
            return open_channels(path, head, geometry)
        raise RecordingError(
            f"{path} is heard by a row of channels, the geometry given is {geometry}; "
            "give a ChannelGeometry or none"
        )

    return opened


def reason(error: BaseException) -> str:
    """A decoder's complaint as one line of text."""
    return " ".join(str(error).split()) or type(error).__name__
