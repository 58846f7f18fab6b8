"""NumPy archives (`.npz`): arrays t, x, y and on, or t and channel, or one table of events.

`width`, `height` and `polarities`, or `channels`, state the sensor. Members are unpacked piece by
piece.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from retempo.sensors.files.format import Format, Opened, OpenRequest, listed, reason
from retempo.sensors.files.numpy_table import open_table
from retempo.sensors.files.table_columns import (
    Layout,
    given_layout,
    layout_of_names,
    with_unit,
)
from retempo.sensors.files.table_geometry import size_of, table_geometry
from retempo.sensors.files.table_pieces import SAMPLE_ROWS, Raw, decode_raw
from retempo.sensors.files.writers.npz import write_npz
from retempo.sensors.geometry import ChannelGeometry, Geometry

_SUFFIX = ".npy"
_MOST_MEMBERS = 256


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an archive, opened together with the archive and closed with it."""

    path: Path
    name: str

    def __call__(self) -> IO[bytes]:
        # The member keeps the archive's file open until it is closed itself.
        with zipfile.ZipFile(self.path) as archive:
            return archive.open(self.name)


def _sniff(head: bytes, path: Path) -> bool:
    # NumPy's own archives begin with an array; others are told by their suffix.
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head.startswith(b"PK\x03\x04") and (
        name.endswith(_SUFFIX.encode()) or path.suffix.lower() == ".npz"
    )


def _open(request: OpenRequest) -> Opened:
    path = request.path
    arrays = _arrays(path)
    stated = _stated_geometry(arrays)
    if request.part:
        if request.part not in arrays:
            raise RecordingError(f"{path} has no array {request.part!r}; it holds {_list(arrays)}")
        return open_table(request, arrays[request.part], stated)
    columns = {name: array for name, array in arrays.items() if len(array.shape) == 1}
    layout = layout_of_names(tuple(columns))
    if request.columns and layout is None and not _tables(arrays):
        layout = given_layout(path, request.columns)
        columns = dict(zip(request.columns.split(","), columns.values(), strict=False))
    if layout is not None:
        return _open_columns(request, list(columns.values()), layout, stated)
    tables = _tables(arrays)
    if len(tables) == 1:
        return open_table(request, tables[0], stated)
    if tables:
        raise RecordingError(
            f"{path} holds several tables: {_list(arrays)}; say which, as in "
            f"{path.name}#{tables[0].name}"
        )
    raise RecordingError(
        f"{path} holds {_list(arrays) or 'no array'}, expected arrays t, x, y and on, or t and "
        "channel, or one table of events"
    )


def _open_columns(
    request: OpenRequest, arrays: list[ArrayFile], layout: Layout, stated: Geometry | None
) -> Opened:
    path = request.path
    used: dict[str, ArrayFile] = {
        role: arrays[place] for place, role in enumerate(layout.roles) if role
    }
    rows = {array.shape[0] for array in used.values()}
    if len(rows) != 1 or any(array.dtype.kind not in "biuf" for array in used.values()):
        raise RecordingError(
            f"{path} holds {', '.join(str(array) for array in used.values())}, expected numbers, "
            "as many in each"
        )
    first = next(_read(used, SAMPLE_ROWS), {"t": np.zeros(0)})
    layout = with_unit(layout, first["t"])
    geometry = table_geometry(request, layout, stated)
    decode = partial(decode_raw, path, partial(_read, used), layout, rows.pop())
    return Opened(geometry, decode, may_go_back=True)


def _read(used: Mapping[str, ArrayFile], rows: int | None = None) -> Iterator[Raw]:
    streams = [read_rows(array, rows or PIECE_ROWS) for array in used.values()]
    for pieces in zip(*streams, strict=False):
        whole = min(len(piece) for piece in pieces)
        yield {role: piece[:whole] for role, piece in zip(used, pieces, strict=True)}
        if any(len(piece) > whole for piece in pieces):
            return


def _arrays(path: Path) -> dict[str, ArrayFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {reason(error)}") from error
    # A damaged directory of an archive can fail to parse in many ways.
    except Exception as error:
        raise RecordingError(
            f"{path} is no readable archive: {reason(error)}; copy it again"
        ) from error
    found = {}
    for name in names[:_MOST_MEMBERS]:
        plain = name.removesuffix(_SUFFIX)
        found[plain] = read_array_header(path, plain, _Member(path, name))
    return found


def _tables(arrays: Mapping[str, ArrayFile]) -> list[ArrayFile]:
    return [array for array in arrays.values() if as_table(array) is not None]


def _stated_geometry(arrays: Mapping[str, ArrayFile]) -> Geometry | None:
    channels = _number(arrays, "channels")
    if channels is not None:
        return ChannelGeometry(channels)
    return size_of(*(_number(arrays, name) for name in ("width", "height", "polarities")))


def _number(arrays: Mapping[str, ArrayFile], name: str) -> int | None:
    array = arrays.get(name)
    if array is None or array.shape not in ((), (1,)) or array.dtype.kind not in "iu":
        return None
    with array.open() as file:
        file.seek(array.offset)
        data = file.read(array.dtype.itemsize)
    return int(np.frombuffer(data, array.dtype)[0]) if len(data) == array.dtype.itemsize else None


def _list(arrays: Mapping[str, ArrayFile]) -> str:
    return listed(str(array) for array in arrays.values())


FORMAT = Format("NPZ", (".npz",), _sniff, _open, write_npz)
