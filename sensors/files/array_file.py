"""NumPy's array format, a file or a member of an archive, read row by row in pieces."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import reason

PIECE_ROWS = 65_536
_NUMBERS = "biuf"
# No row of events is longer; a header that states more is damaged.
_MOST_ROW_BYTES = 4_096
_GRID_COLUMNS, _CHANNEL_COLUMNS = 4, 2


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An array whose header has been read; `open` opens its bytes afresh.

    `by_column` says that the columns of a table lie one after the other.
    """

    name: str
    open: Callable[[], IO[bytes]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_column: bool
    offset: int

    def __str__(self) -> str:
        return f"{self.name} of {self.dtype} {self.shape}"


def read_array_header(path: Path, name: str, opened: Callable[[], IO[bytes]]) -> ArrayFile:
    """Read what an array holds, without its values; nothing is ever unpickled.

    Raises:
        RecordingError: it has no readable header, or holds Python objects.
    """
    try:
        # A header of Python 2 warns, and so may one that is damaged.
        with opened() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_column, dtype = read(file)
            offset = file.tell()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {reason(error)}") from error
    # The header is a Python literal, which can fail to parse in many ways.
    except Exception as error:
        raise RecordingError(
            f"{path} is no readable NumPy table: {reason(error)}; copy it again"
        ) from error
    array = ArrayFile(name, opened, dtype, shape, by_column, offset)
    if dtype.hasobject:
        raise RecordingError(
            f"{path} holds {array}, Python objects, which are never unpickled; save numbers instead"
        )
    if dtype.itemsize > _MOST_ROW_BYTES or min(shape, default=0) < 0:
        raise RecordingError(f"{path} holds {array}, which is no table of events")
    return array


def as_table(array: ArrayFile) -> ArrayFile | None:
    """Return the array as rows of numbers or of named fields; None where it is no table.

    A few rows of many values are taken as the columns of a table.
    """
    if array.dtype.names is not None:
        plain = all(each[0].kind in _NUMBERS for each in (array.dtype.fields or {}).values())
        return array if plain and len(array.shape) == 1 else None
    if array.dtype.kind not in _NUMBERS or len(array.shape) != len(("rows", "columns")):
        return None
    rows, columns = array.shape
    if rows in (_GRID_COLUMNS, _CHANNEL_COLUMNS) and columns > _GRID_COLUMNS:
        return replace(array, shape=(columns, rows), by_column=not array.by_column)
    return array if 1 < columns <= _MOST_ROW_BYTES // array.dtype.itemsize else None


def read_rows(array: ArrayFile, rows: int = PIECE_ROWS) -> Iterator[NDArray[Any]]:
    """Read an array in pieces of so many rows; one that ends early gives the rows it has.

    Shapes: a piece is `(rows,)` or `(rows, columns)`.
    """
    stated = array.shape[0]
    columns = array.shape[1] if len(array.shape) > 1 else 1
    across = columns if len(array.shape) > 1 and array.by_column else 1
    width = columns // across
    with ExitStack() as files:
        streams = [files.enter_context(array.open()) for _ in range(across)]
        for place, stream in enumerate(streams):
            stream.seek(array.offset + place * stated * array.dtype.itemsize)
        for start in range(0, stated, rows):
            wanted = min(rows, stated - start)
            parts = [_items(stream, array.dtype, wanted * width) for stream in streams]
            whole = min(len(part) for part in parts) // width
            if len(array.shape) == 1:
                yield parts[0]
            elif across > 1:
                yield np.stack([part[:whole] for part in parts], axis=1)
            else:
                yield parts[0][: whole * width].reshape(whole, width)
            if whole < wanted:
                return


def _items(stream: IO[bytes], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    data = stream.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, len(data) // dtype.itemsize)
