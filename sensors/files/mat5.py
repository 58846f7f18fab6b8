"""Variables of a MATLAB 5 file: what there is, and one matrix of numbers, column by column.

A file has a header of 128 bytes and elements: a tag (u32 type, u32 size) and data padded to eight
bytes, or up to four bytes of data within the tag. A matrix is made of elements for its flags, its
dimensions, its name and its values, and may be deflated as a whole.

Source: MathWorks, MAT-File Format, Level 5.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 128
_MATRIX, _DEFLATED = 14, 15
_NUMERIC_CLASSES = range(6, 16)
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_COMPLEX = 0x0800
# No name, and no list of dimensions, is longer.
_MOST_BYTES = 1_024
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: `dtype` is that of its values as stored, None where it is no real matrix.

    `place` is where its element begins in the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    place: int


Order = Literal["<", ">"]


class _Inflated:
    """Bytes of a file from its place on, inflated as they are read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self._inflate, self._ready = zlib.decompressobj(), b""

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and not self._inflate.eof:
            data = self._inflate.unconsumed_tail
            if not data:
                data = self._file.read(min(_PIECE_BYTES, self._left))
                self._left -= len(data)
            if not data:
                break
            self._ready += self._inflate.decompress(data, max(_PIECE_BYTES, size))
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken


Stream = IO[bytes] | _Inflated


def read_variables(path: Path) -> list[Variable]:
    """List the variables of a file; those behind damage are left out.

    Raises:
        OSError: the file cannot be read.
        ValueError, zlib.error: its first element is damaged.
    """
    found: list[Variable] = []
    with path.open("rb") as file:
        order = _order(file)
        size = file.seek(0, 2)
        place = _HEADER_BYTES
        while place + 8 <= size:
            file.seek(place)
            kind, length = np.frombuffer(file.read(8), f"{order}u4").tolist()
            try:
                if kind in (_MATRIX, _DEFLATED):
                    found.append(_described(_opened(file, place, order), place, order))
            except (ValueError, zlib.error):
                if not found:
                    raise
                break
            place += 8 + length
    return found


def read_columns(path: Path, variable: Variable, columns: int) -> Iterator[NDArray[Any]]:
    """Read a matrix in pieces of so many columns, as far as it goes.

    Shapes: a piece is `(columns, rows)`, since a column lies together in the file.

    Raises:
        OSError: the file cannot be read.
        ValueError, zlib.error: it is damaged, or ends early.
    """
    rows, left = variable.shape
    with path.open("rb") as file:
        order = _order(file)
        stream = _opened(file, variable.place, order)
        _described(stream, variable.place, order)
        item = (variable.dtype or np.dtype("u1")).newbyteorder(order)
        while left and rows:
            data = stream.read(min(columns, left) * rows * item.itemsize)
            whole = len(data) // (rows * item.itemsize)
            values = np.frombuffer(data, item, whole * rows)
            yield values.reshape(whole, rows)
            if whole < min(columns, left):
                raise ValueError(f"it ends {left - whole} of {variable.shape[1]} columns early")
            left -= whole


def _order(file: IO[bytes]) -> Order:
    mark = file.read(_HEADER_BYTES)[126:128]
    if mark not in (b"IM", b"MI"):
        raise ValueError(f"its byte order is {mark!r}, expected IM or MI")
    return "<" if mark == b"IM" else ">"


def _opened(file: IO[bytes], place: int, order: Order) -> Stream:
    """Return the bytes of a matrix from its flags on."""
    file.seek(place)
    kind, size = _tag(file, order)
    if kind != _DEFLATED:
        return file
    stream = _Inflated(file, size)
    kind, _ = _tag(stream, order)
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} is deflated, expected a matrix")
    return stream


def _described(stream: Stream, place: int, order: Order) -> Variable:
    """Read a matrix as far as the first of its values."""
    stated = _element(stream, order)
    if len(stated) < len(b"flag"):
        raise ValueError("a variable has no flags")
    flags = int(np.frombuffer(stated[:4], f"{order}u4")[0])
    dimensions = np.frombuffer(_element(stream, order), f"{order}i4").tolist()
    name = _element(stream, order).decode("ascii", "replace")
    if len(dimensions) < len(("rows", "columns")) or min(dimensions) < 0:
        raise ValueError(f"a variable has the dimensions {dimensions}")
    kind = 0
    if flags & 0xFF in _NUMERIC_CLASSES and not flags & _COMPLEX and all(dimensions):
        first = int(np.frombuffer(_exactly(stream, 4), f"{order}u4")[0])
        # Values of up to four bytes lie within the tag.
        kind = first & 0xFFFF if first >> 16 else first
        if not first >> 16:
            _exactly(stream, 4)
    dtype = np.dtype(_TYPES[kind]) if kind in _TYPES else None
    return Variable(name, tuple(dimensions), dtype, place)


def _element(stream: Stream, order: Order) -> bytes:
    first = int(np.frombuffer(_exactly(stream, 4), f"{order}u4")[0])
    if first >> 16:
        return _exactly(stream, 4)[: first >> 16]
    size = int(np.frombuffer(_exactly(stream, 4), f"{order}u4")[0])
    if size > _MOST_BYTES:
        raise ValueError(f"an element states {size} bytes for a name or for dimensions")
    data = _exactly(stream, size)
    _exactly(stream, -size % 8)
    return data


def _tag(stream: Stream, order: Order) -> tuple[int, int]:
    kind, size = np.frombuffer(_exactly(stream, 8), f"{order}u4").tolist()
    return kind, size


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError(f"it ends {size - len(data)} bytes early")
    return data
