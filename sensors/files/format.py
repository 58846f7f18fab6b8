"""What a file format has to say about itself to be readable."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from retempo.sensors.columns import AnyColumns
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

_MOST_NAMES = 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose head has been checked; `decode` reads it afresh at each call, piece by piece.

    `may_go_back` says that times may go back by any amount, as in a table that somebody wrote: the
    watermarks of such a file are found in a pass of their own. `notes` are sentences that a person
    who looks at the file should read: what the reader chose among what the file offers. `heard_by`
    is the ear of a sound.
    """

    geometry: Geometry
    decode: Callable[[], Iterator[AnyColumns]]
    may_go_back: bool = False
    notes: tuple[str, ...] = ()
    heard_by: EarSpec | None = None


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a format is asked to open.

    `head` is the first bytes of the file, none for a folder. `geometry` is the caller's claim,
    `part` names one recording of a file that holds several, and `columns` what the columns of a
    table hold, in their order; both are empty where the caller leaves them to the file. `ear` hears
    a sound, the default one if None.
    """

    path: Path
    head: bytes
    geometry: Geometry | None = None
    part: str = ""
    columns: str = ""
    ear: EarSpec | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the registry: how to recognise and to open one file format.

    `sniff(head, path)` judges the first bytes of the file; `open(request)` checks the head and
    raises a RecordingError where it does not hold. `write(path, geometry, chunks)`
    writes a file of the format from chunks in stream order, None where it is only read; it raises a
    RecordingError where the format cannot hold the geometry or the times.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    open: Callable[[OpenRequest], Opened]
    write: Callable[[Path, Geometry, Iterator[EventChunk]], None] | None = None


def of_grid(
    open_grid: Callable[[Path, bytes, GridGeometry | None], Opened],
) -> Callable[[OpenRequest], Opened]:
    """Let a format of pixels, one recording a file, refuse channels, parts and columns."""

    def opened(request: OpenRequest) -> Opened:
        whole(request)
        geometry = request.geometry
        if geometry is None or isinstance(geometry, GridGeometry):
            return open_grid(request.path, request.head, geometry)
        raise RecordingError(
            f"{request.path} holds events of a pixel grid, the geometry given is {geometry}; "
            "give a GridGeometry or none"
        )

    return opened


def of_channels(
    open_channels: Callable[[Path, bytes, ChannelGeometry | None], Opened],
) -> Callable[[OpenRequest], Opened]:
    """Let a format of channels, one recording a file, refuse pixels, parts and columns."""

    def opened(request: OpenRequest) -> Opened:
        whole(request)
        geometry = request.geometry
        if geometry is None or isinstance(geometry, ChannelGeometry):
            return open_channels(request.path, request.head, geometry)
        raise RecordingError(
            f"{request.path} is heard by a row of channels, the geometry given is {geometry}; "
            "give a ChannelGeometry or none"
        )

    return opened


def whole(request: OpenRequest) -> None:
    """Refuse a part or columns where a file is one recording with a layout of its own.

    Raises:
        RecordingError: the request names a part or columns.
    """
    if request.part:
        raise RecordingError(
            f"{request.path} is one recording, got the part {request.part!r}; leave out what "
            "follows the #"
        )
    without_columns(request)


def without_columns(request: OpenRequest) -> None:
    """Refuse columns where the format itself says what it holds.

    Raises:
        RecordingError: the request names columns.
    """
    if request.columns:
        raise RecordingError(
            f"{request.path} says itself what it holds, got columns={request.columns}; leave them "
            "out"
        )


def listed(names: Iterable[str]) -> str:
    """The first names of what a file holds, for a message: what is no print in them is escaped."""
    return ", ".join(
        name if name.isprintable() else ascii(name)[1:-1] for name in islice(names, _MOST_NAMES)
    )


def reason(error: BaseException) -> str:
    """A decoder's complaint as one line of text."""
    return " ".join(str(error).split()) or type(error).__name__
