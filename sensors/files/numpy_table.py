"""NumPy tables (`.npy`): rows of named fields t, x, y, on, or four columns, or t and channel.

What the columns hold is found as in text, see `table_columns`. The uint64 tables of POKER-DVS have
35x35 pixels where their events fit that; other tables state no size.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.array_file import (
    PIECE_ROWS,
    ArrayFile,
    as_table,
    read_array_header,
    read_rows,
)
from retempo.sensors.files.format import Format, Opened, OpenRequest
from retempo.sensors.files.table_columns import Layout, with_unit
from retempo.sensors.files.table_geometry import table_geometry
from retempo.sensors.files.table_pieces import (
    SAMPLE_ROWS,
    Raw,
    decode_raw,
    layout_of_table,
    raw_columns,
)
from retempo.sensors.geometry import Geometry, GridGeometry

GEOMETRY = GridGeometry(35, 35)


def open_table(request: OpenRequest, array: ArrayFile, stated: Geometry | None) -> Opened:
    """Open an array of events.

    Raises:
        RecordingError: it is no table of events, or nobody says its columns or its sensor.
    """
    path = request.path
    table = as_table(array)
    if table is None:
        raise RecordingError(
            f"{path} holds {array}, expected rows of t, x, y and on, a table of 4 columns, or one "
            "of 2 columns t and channel"
        )
    layout = layout_of_table(path, table, request.columns, request.geometry or stated)
    first: Raw = next(_read(table, layout, SAMPLE_ROWS), {"t": np.zeros(0)})
    layout = with_unit(layout, first["t"])
    if stated is None and request.geometry is None and table.dtype == np.uint64:
        stated = _poker_geometry(path, first)
    geometry = table_geometry(request, layout, stated)
    decode = partial(decode_raw, path, partial(_read, table, layout), layout, table.shape[0])
    return Opened(geometry, decode, may_go_back=True)


def _read(table: ArrayFile, layout: Layout, rows: int | None = None) -> Iterator[Raw]:
    return (raw_columns(piece, layout) for piece in read_rows(table, rows or PIECE_ROWS))


def _poker_geometry(path: Path, first: Raw) -> GridGeometry | None:
    if "x" not in first or len(first["x"]) == 0:
        return GEOMETRY
    x, y = int(first["x"].max()), int(first["y"].max())
    if x < GEOMETRY.width and y < GEOMETRY.height:
        return GEOMETRY
    raise RecordingError(
        f"{path} states no sensor size, and its events reach x {x}, y {y}, beyond the "
        f"{GEOMETRY.width}x{GEOMETRY.height} of POKER-DVS; give its geometry, as in "
        "--geometry 640x480"
    )


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"\x93NUMPY")


def _open(request: OpenRequest) -> Opened:
    path = request.path
    if request.part:
        raise RecordingError(
            f"{path} is one table, got the part {request.part!r}; to say what its columns hold, "
            f"write {path.name}#columns=x,y,t_us,on"
        )
    array = read_array_header(path, "an array", partial(_bytes, path))
    return open_table(request, array, None)


def _bytes(path: Path) -> IO[bytes]:
    return path.open("rb")


FORMAT = Format("NumPy", (".npy",), _sniff, _open)
