"""The `.bin` format of N-MNIST and N-Caltech101: five bytes an event and no header.

Byte 0 is x, byte 1 is y, bytes 2 to 4 are a big-endian word whose top bit is the polarity and
whose other 23 bits are the time in microseconds (Orchard et al. 2015, Converting static image
datasets to spiking neuromorphic datasets using saccades, and the data set's read-me). As in the
data set's own reader, y = 240 is no pixel where the sensor is no higher: every such record moves
all later times on by 2^13 us.

Neither data set states its size. A file whose events all but fit 34x34 is N-MNIST; one that goes
forward in time and fits 240x180, into which the pictures of Caltech101 were scaled, is
N-Caltech101; any other needs the caller's geometry.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from retempo.sensors.byte_decoder import ByteDecoder, decode_file
from retempo.sensors.columns import Columns, part_of
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.fixed_records import Records, record_decoder
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.checks import need_grid
from retempo.sensors.geometry import Geometry, GridGeometry

EVENT_BYTES = 5
GEOMETRY = GridGeometry(34, 34)
CALTECH_GEOMETRY = GridGeometry(240, 180)

_TIME_LIMIT_US = 1 << 23
_SIDE_LIMIT = 256
_NO_EVENTS = "{path} is not written: N-MNIST has no header, so no events would be no bytes"
# Fewer events than this fit the 34x34 grid by chance too easily to name a format by them.
_SNIFF_EVENTS = 16
# A few strays are the sensor's; more mean that the grid is another one.
_FITTING = 0.95
_FORWARD = 0.98
_OVERFLOW_Y = 240
_OVERFLOW_US = 1 << 13


def decode_nmnist(data: bytes) -> Columns:
    """The events in `data`, whose length must be a multiple of five; times go from 0 to 2^23 us."""
    events = np.frombuffer(data, np.uint8).reshape(-1, EVENT_BYTES)
    high, middle, low = (events[:, k].astype(np.int64) for k in (2, 3, 4))
    word = high << 16 | middle << 8 | low
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
                "cut or shift the events first (--crop, --from and --to, --zero)"
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
    grid = need_grid(geometry, "N-MNIST", _SIDE_LIMIT)
    if grid.height > _OVERFLOW_Y:
        raise RecordingError(
            f"N-MNIST holds at most {_OVERFLOW_Y} rows, y = {_OVERFLOW_Y} being for time, got "
            f"{grid}; crop or downsample it (--crop, --downsample), or write NPZ or HDF5"
        )
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(encode_nmnist(chunk))
        if file.tell() == 0:
            raise RecordingError(_NO_EVENTS.format(path=path.name))


def nmnist_decoder(grid: GridGeometry) -> ByteDecoder[Records[int]]:
    """A decoder of the whole file; what it remembers is the sum of the time overflows so far."""
    may_overflow = grid.height <= _OVERFLOW_Y

    def decode(passed_us: int, data: bytes) -> tuple[int, Columns]:
        columns = decode_nmnist(data)
        if not may_overflow:
            return passed_us, columns
        marks = columns.y == _OVERFLOW_Y
        moved = passed_us + np.cumsum(marks) * _OVERFLOW_US
        timed = replace(columns, t_us=columns.t_us + moved)
        return passed_us + int(np.count_nonzero(marks)) * _OVERFLOW_US, part_of(timed, ~marks)

    return record_decoder(EVENT_BYTES, 0, decode)


def _sniff(head: bytes, path: Path) -> bool:
    del path
    columns = _leading(head)
    return len(columns) >= _SNIFF_EVENTS and _goes_forward(columns) and _fits(columns, GEOMETRY)


def _sniff_caltech(head: bytes, path: Path) -> bool:
    del path
    columns = _leading(head)
    return (
        len(columns) >= _SNIFF_EVENTS
        and _goes_forward(columns)
        and _fits(columns, CALTECH_GEOMETRY)
    )


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    columns = decode_nmnist(head[: len(head) // EVENT_BYTES * EVENT_BYTES])
    grid = geometry or GEOMETRY
    inside = _inside(columns, grid)
    # A majority outside means that the file is something else.
    if 2 * inside < len(columns):
        raise RecordingError(
            f"{path} is no N-MNIST file of {grid}: {len(columns) - inside} of its first "
            f"{len(columns)} events lie outside; give its geometry or rename it"
        )
    return _opened(path, grid)


def _open_caltech(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    del head
    return _opened(path, geometry or CALTECH_GEOMETRY)


def _opened(path: Path, grid: GridGeometry) -> Opened:
    return Opened(grid, partial(decode_file, path, nmnist_decoder(grid)), may_go_back=True)


def _leading(head: bytes) -> Columns:
    """The events of the head, with the time overflows of a sensor of less than 240 rows."""
    decoder = nmnist_decoder(GEOMETRY)
    columns = decoder.feed(decoder.start(), head)[1]
    assert isinstance(columns, Columns)  # noqa: S101  (the decoder above gives no others)
    return columns


def _goes_forward(columns: Columns) -> bool:
    """Whether the times go forward but for what damage may do; zeros alone go nowhere."""
    steps = np.diff(columns.t_us)
    return bool(np.mean(steps >= 0) >= _FORWARD and np.mean(steps > 0) >= 1 - _FITTING)


def _fits(columns: Columns, grid: GridGeometry) -> bool:
    return _inside(columns, grid) >= _FITTING * len(columns)


def _inside(columns: Columns, grid: GridGeometry) -> int:
    return int(np.count_nonzero((columns.x < grid.width) & (columns.y < grid.height)))


FORMAT = Format("N-MNIST", (".bin",), _sniff, of_grid(_open), _write)
CALTECH = Format("N-Caltech101", (".bin",), _sniff_caltech, of_grid(_open_caltech))
