"""Arrays that begin with a line of the cache, so that no vector of them lies in two."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LINE_BYTES = 64

Item = TypeVar("Item", bound=np.generic)


def aligned_zeros(shape: tuple[int, ...], dtype: type[Item]) -> NDArray[Item]:
    """Return zeros as `np.zeros` does, which begins at any multiple of 16 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size >= 1 << 20:
        room = np.zeros(max(size, 4 << 20) + (2 << 20), np.uint8)
        begin = -room.ctypes.data % (2 << 20)
    else:
        room = np.zeros(size + LINE_BYTES, np.uint8)
        begin = -room.ctypes.data % LINE_BYTES
    return room[begin : begin + size].view(dtype).reshape(shape)


def aligned(array: NDArray[Item]) -> NDArray[Item]:
    """Return a copy that begins with a line."""
    made = aligned_zeros(array.shape, array.dtype.type)
    made[...] = array
    return made
