"""Raw columns, piece by piece, decoded to events: what NPY, NPZ and HDF5 tables share."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns, no_channel_events, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.array_file import ArrayFile, read_rows
from retempo.sensors.files.format import reason
from retempo.sensors.files.table_columns import (
    Layout,
    given_layout,
    layout_of_names,
    layout_of_values,
)
from retempo.sensors.files.table_values import events_of
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import problem

SAMPLE_ROWS = 4_096
# What archives and containers raise where their bytes do not unpack.
_UNPACKING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
Raw = Mapping[str, NDArray[Any]]


def layout_of_table(
    path: Path, array: ArrayFile, columns: str, geometry: Geometry | None
) -> Layout:
    """Return what the columns of a table or the fields of its rows hold.

    Raises:
        RecordingError: neither the caller nor their names nor their numbers tell it.
    """
    names = array.dtype.names
    if columns:
        layout = given_layout(path, columns)
        there = array.shape[1] if names is None else len(names)
        if len(layout.roles) > there:
            raise RecordingError(f"{path} has {there} columns, got columns={columns}")
        return layout
    if names is None:
        sample = next(read_rows(array, SAMPLE_ROWS), np.zeros((0, array.shape[1])))
        return layout_of_values(path, sample, geometry)
    found = layout_of_names(names)
    if found is None:
        raise RecordingError(
            f"{path} holds rows of {', '.join(names)[:80]}, expected t, x, y and on, or t and "
            f"channel; say what they hold, as in {path.name}#columns=x,y,t_us,on"
        )
    return found


def raw_columns(piece: NDArray[Any], layout: Layout) -> Raw:
    """Return the columns of a piece of a table by what they hold."""
    names = piece.dtype.names
    return {
        role: piece[:, place] if names is None else piece[names[place]]
        for place, role in enumerate(layout.roles)
        if role
    }


def decode_raw(
    path: Path,
    read: Callable[[], Iterator[Raw]],
    layout: Layout,
    rows: int | None,
    offset_us: int = 0,
) -> Iterator[AnyColumns]:
    """Decode raw columns; where they end early or cannot be read on, that is counted at the end.

    `rows` is how many the file states, None where it does not.

    Raises:
        RecordingError: the file is gone.
    """
    done = 0
    unit = layout.unit or "us"
    nothing = no_channel_events if layout.channels else no_events
    try:
        for raw in read():
            yield events_of(raw, unit, partial(_row, done), offset_us)
            done += len(raw["t"])
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except _UNPACKING_ERRORS as error:
        stated = "" if rows is None else f" of {rows}"
        why = f"it cannot be read on after {done}{stated} rows: {reason(error)}"
        yield nothing(problem("damaged", why, 0))
        return
    if rows is not None and done < rows:
        why = f"it states {rows} rows and holds {done}"
        yield nothing(problem("truncated", why, 0, rows - done))


def _row(before: int, row: int) -> str:
    return f"row {before + row}"
