"""CSV written: `t_us,x@WIDTH,y@HEIGHT,on` or `t_us,channel@CHANNELS`, one event a line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry

_MINUS, _ZERO, _COMMA, _NEW_LINE = (ord(sign) for sign in "-0,\n")
_TEN = np.uint64(10)
# The longest number of 63 bits and a sign, and what ends it.
_NUMBER_BYTES = 21


def write_csv(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write lines of whole numbers; `on` is 1 or 0."""
    with path.open("wb") as file:
        if isinstance(geometry, GridGeometry):
            head = f"t_us,x@{geometry.width},y@{geometry.height},on\n"
        else:
            head = f"t_us,channel@{geometry.channels}\n"
        file.write(head.encode())
        for chunk in chunks:
            columns = (chunk.t_us, chunk.x, chunk.y, chunk.on, chunk.channel)
            present = [column.astype(np.int64) for column in columns if column is not None]
            file.write(encode_lines(np.stack(present, axis=1)))


def encode_lines(numbers: NDArray[np.int64]) -> bytes:
    """Return the rows of a table `(rows, columns)` as lines of numbers between commas."""
    out = np.empty(numbers.size * _NUMBER_BYTES, np.uint8)
    return out[: _write_lines(numbers, out)].tobytes()


@njit(cache=True, nogil=True)
def _write_lines(
    numbers: NDArray[np.int64], out: NDArray[np.uint8]
) -> int:  # pragma: no cover - compiled
    """Write lines to `out`, which has room for the longest; returns how many bytes they take."""
    at = 0
    for row in range(numbers.shape[0]):
        for column in range(numbers.shape[1]):
            number = numbers[row, column]
            left = np.uint64(number)
            if number < 0:
                out[at] = _MINUS
                at += 1
                # Two's complement: the lowest number has no positive one.
                left = ~left + np.uint64(1)
            size, rest = 1, left
            while rest >= _TEN:
                size += 1
                rest //= _TEN
            for place in range(at + size - 1, at - 1, -1):
                out[place] = _ZERO + left % _TEN
                left //= _TEN
            at += size
            out[at] = _COMMA
            at += 1
        out[at - 1] = _NEW_LINE
    return at


def encode_lines_numpy(numbers: NDArray[np.int64]) -> bytes:
    """As `encode_lines`, without a kernel: its twin in the tests."""
    return b"".join(b",".join(b"%d" % n for n in row) + b"\n" for row in numbers.tolist())
