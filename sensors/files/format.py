"""What a file format has to say about itself to be readable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retempo.sensors.columns import AnyColumns
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose head has been checked; `decode` reads it afresh at each call, piece by piece.

    `may_go_back` says that times may go back by any amount, as in a table that somebody wrote: the
    watermarks of such a file are found in a pass of their own. `heard_by` is the ear of a sound.
    """

    geometry: Geometry
    decode: Callable[[], Iterator[AnyColumns]]
    may_go_back: bool = False
    heard_by: EarSpec | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the registry: how to recognise and to open one file format.

    `sniff(head, path)` judges the first bytes of the file; `open(path, head, geometry)` checks
    the head and raises a RecordingError where it does not hold. `write(path, geometry, chunks)`
    writes a file of the format from chunks in stream order, None where it is only read; it raises a
    RecordingError where the format cannot hold the geometry or the times.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    open: Callable[[Path, bytes, Geometry | None], Opened]
    write: Callable[[Path, Geometry, Iterator[EventChunk]], None] | None = None


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
