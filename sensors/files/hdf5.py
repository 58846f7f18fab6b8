"""HDF5: tables of events by name, the layouts of DSEC, MVSEC and Metavision, and SHD and SSC.

A table is a group with datasets t, x, y and p (or t and channel), a dataset of rows with such
fields, or one of four columns. A file with several needs a part: the name of one, or the number of
a recording of SHD and SSC.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import Format, Opened, OpenRequest, listed, without_columns
from retempo.sensors.files.hdf5_file import opened_hdf5, stated_geometry
from retempo.sensors.files.hdf5_ragged import read_ragged
from retempo.sensors.files.hdf5_tables import Table, decode_table, find_tables, open_columns
from retempo.sensors.files.table_columns import Layout
from retempo.sensors.files.table_geometry import table_geometry
from retempo.sensors.files.table_pieces import Raw, decode_raw
from retempo.sensors.files.writers.hdf5 import write_hdf5
from retempo.sensors.geometry import ChannelGeometry, GridGeometry

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DSEC = GridGeometry(640, 480)
_SHD = ChannelGeometry(700)
_TIMES, _UNITS = "spikes/times", "spikes/units"
_SECONDS = Layout(("t", "channel"), "s")


def _sniff(head: bytes, path: Path) -> bool:
    del path
    # A user's own block of 512, 1024, 2048... bytes may come before.
    places = (0, *(512 << power for power in range(7)))
    return any(head[place : place + len(_SIGNATURE)] == _SIGNATURE for place in places)


def _open(request: OpenRequest) -> Opened:
    path = request.path
    with opened_hdf5(path) as file:
        if _many_recordings(file):
            return _open_recording(request, file)
        table = _chosen(request, find_tables(file))
        layout = open_columns(request, file, table)
        stated = stated_geometry(file, table.name)
        offset_us = 0
        if "t_offset" in file and "ms_to_idx" in file:
            stated, offset_us = stated or _DSEC, _whole(path, file["t_offset"])
        geometry = table_geometry(request, layout, stated)
    decode = partial(decode_table, path, table, layout, offset_us)
    return Opened(geometry, decode, may_go_back=True)


def _chosen(request: OpenRequest, tables: list[Table]) -> Table:
    path, wanted = request.path, request.part.strip("/")
    names = [table.name for table in tables]
    held = listed(f"/{name}" for name in names)
    if not tables:
        raise RecordingError(
            f"{path} is HDF5 without a table of events, expected datasets t, x, y and p in a "
            "group, rows with such fields, four columns named events, or spikes/times and "
            "spikes/units"
        )
    if wanted:
        if wanted not in names:
            raise RecordingError(f"{path} has no events at /{wanted}; it has {held}")
        return tables[names.index(wanted)]
    if len(tables) > 1:
        raise RecordingError(
            f"{path} holds several tables of events: {held}; say which, as in "
            f"{path.name}#/{names[0]}"
        )
    return tables[0]


def _many_recordings(file: h5py.File) -> bool:
    return all(
        isinstance(file.get(name), h5py.Dataset)
        and h5py.check_vlen_dtype(file[name].dtype) is not None
        for name in (_TIMES, _UNITS)
    )


def _open_recording(request: OpenRequest, file: h5py.File) -> Opened:
    without_columns(request)
    path, part = request.path, request.part
    recordings = min(len(file[_TIMES]), len(file[_UNITS]))
    if not part and recordings != 1:
        raise RecordingError(
            f"{path} holds {recordings} recordings; say which, from {path.name}#0 to "
            f"#{recordings - 1}"
        )
    digits = part if part.isascii() and part.isdecimal() and len(part) < 10 else ""
    number = int(digits) if digits else -1 if part else 0
    if not 0 <= number < recordings:
        raise RecordingError(
            f"{path} has no recording {part}, expected a number from 0 to {recordings - 1}"
        )
    geometry = table_geometry(request, _SECONDS, stated_geometry(file, "spikes") or _SHD)
    decode = partial(decode_raw, path, partial(_spikes, path, number), _SECONDS, None)
    return Opened(geometry, decode, may_go_back=True)


def _spikes(path: Path, number: int) -> Iterator[Raw]:
    with h5py.File(path, "r", locking=False) as file:
        times = read_ragged(path, file, _TIMES, number)
        units = read_ragged(path, file, _UNITS, number)
    if len(times) != len(units):
        raise ValueError(f"recording {number} has {len(times)} times and {len(units)} units")
    yield {"t": times, "channel": units}


def _whole(path: Path, dataset: Any) -> int:
    value = np.asarray(dataset[()])
    if value.size == 1 and value.dtype.kind in "iu":
        return int(value.ravel()[0])
    raise RecordingError(f"{path} holds t_offset = {value}, expected a whole number of us")


FORMAT = Format("HDF5", (".h5", ".hdf5", ".hdf"), _sniff, _open, write_hdf5)
