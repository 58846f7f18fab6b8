"""The N-MNIST `.bin` format: five bytes an event and no header.

Byte 0 is x, byte 1 is y, bytes 2 to 4 are a big-endian word whose top bit is the polarity and
whose other 23 bits are the time in microseconds (Orchard et al. 2015, Converting static image
datasets to spiking neuromorphic datasets using saccades, and the data set's read-me).
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.checks import need_grid
from retempo.sensors.geometry import Geometry, GridGeometry

EVENT_BYTES = 5
GEOMETRY = GridGeometry(34, 34)

_TIME_LIMIT_US = 1 << 23
_SIDE_LIMIT = 256
_NO_EVENTS = "{path} is not written: N-MNIST has no header, so no events would be no bytes"
# Fewer events than this fit the 34x34 grid by chance too easily to name a format by them.
_SNIFF_EVENTS = 16


def decode_nmnist(data: bytes) -> Columns:
    """The events in `data`, whose length must be a multiple of five; times go from 0 to 2^23 us."""
    events = np.frombuffer(data, np.uint8).reshape(-1, EVENT_BYTES)
    word = events[:, 2:].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    return Columns(
        t_us=word & (_TIME_LIMIT_US - 1),
        x=events[:, 0].astype(np.uint16),
        y=events[:, 1].astype(np.uint16),
        on=word >= _TIME_LIMIT_US,
    )


def encode_nmnist(chunk: EventChunk) -> bytes:
    """The exact inverse of `decode_nmnist`.

    Raises:
        RecordingError: events of channels, an address above 255, or a time outside 0 to 2^23 us.
    """
    if chunk.x is None or chunk.y is None or chunk.on is None:
        raise RecordingError("N-MNIST holds x, y and on, got a chunk of channels; use the wire")
    for name, column, limit in (
        ("x", chunk.x, _SIDE_LIMIT),
        ("y", chunk.y, _SIDE_LIMIT),
        ("t_us", chunk.t_us, _TIME_LIMIT_US),
    ):
        wrong = column[(column < 0) | (column >= limit)]
        if len(wrong):
            raise RecordingError(
                f"N-MNIST holds {name} from 0 to {limit - 1}, got {wrong[0]}; "
                "crop or shift the events first (--crop, --zero)"
            )
    word = chunk.t_us | (chunk.on.astype(np.int64) << 23)
    columns = (chunk.x, chunk.y, word >> 16, (word >> 8) & 255, word & 255)
    return np.stack([column.astype(np.uint8) for column in columns], axis=1).tobytes()


def write_nmnist(path: str | Path, chunk: EventChunk) -> None:
    """Write a chunk as an N-MNIST file, which `open_recording` reads back exactly.

    Raises:
        RecordingError: the format cannot hold an event, or there is none (an empty file has no
            format), or the file cannot be written.
    """
    # What cannot be held is told before a file is there.
    data = encode_nmnist(chunk)
    if not data:
        raise RecordingError(_NO_EVENTS.format(path=path))
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from error


def _write(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    need_grid(geometry, "N-MNIST", _SIDE_LIMIT)
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(encode_nmnist(chunk))
        if file.tell() == 0:
            raise RecordingError(_NO_EVENTS.format(path=path.name))


def _sniff(head: bytes, path: Path) -> bool:
    del path
    events = len(head) // EVENT_BYTES
    if events < _SNIFF_EVENTS:
        return False
    columns = decode_nmnist(head[: events * EVENT_BYTES])
    forward = bool((np.diff(columns.t_us) >= 0).all()) and columns.t_us[-1] > columns.t_us[0]
    return forward and _inside(columns, GEOMETRY) == events


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    size = path.stat().st_size
    if size % EVENT_BYTES:
        raise RecordingError(
            f"{path} is truncated or no N-MNIST file: {size} bytes are {size // EVENT_BYTES} "
            f"events of {EVENT_BYTES} bytes and {size % EVENT_BYTES} bytes more; copy it again"
        )
    grid = geometry or GEOMETRY
    columns = decode_nmnist(head[: len(head) // EVENT_BYTES * EVENT_BYTES])
    inside = _inside(columns, grid)
    # A few strays are the sensor's; a majority means that the file is something else.
    if 2 * inside < len(columns):
        raise RecordingError(
            f"{path} is no N-MNIST file of {grid}: {len(columns) - inside} of its first "
            f"{len(columns)} events lie outside; give its geometry or rename it"
        )
    return Opened(grid, partial(_decode, path), may_go_back=True)


def _inside(columns: Columns, grid: GridGeometry) -> int:
    return int(np.count_nonzero((columns.x < grid.width) & (columns.y < grid.height)))


def _decode(path: Path) -> Iterator[Columns]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    yield decode_nmnist(data[: len(data) // EVENT_BYTES * EVENT_BYTES])


FORMAT = Format("N-MNIST", (".bin",), _sniff, of_grid(_open), _write)
