"""Arrays that begin with a line of the cache, so that no vector of them lies in two."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LINE_BYTES = 64
# The system gives pages as large to who asks for them; NumPy asks from so many bytes on.
_PAGE_BYTES, _ASKED_BYTES = 2 << 20, 4 << 20
# A smaller array lies in few pages anyway.
_LARGE_BYTES = 1 << 20

Item = TypeVar("Item", bound=np.generic)


def aligned_zeros(shape: tuple[int, ...], dtype: type[Item]) -> NDArray[Item]:
    """Return zeros as `np.zeros` does, whose arrays begin at any multiple of 16 bytes.

    A large array begins with a page of the large kind, if the system has any.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    line, room = LINE_BYTES, size
    if size >= _LARGE_BYTES:
        line, room = _PAGE_BYTES, max(size, _ASKED_BYTES)
    # What nobody writes to takes no memory.
    whole = np.zeros(room + line, np.uint8)
    begin = -whole.ctypes.data % line
    return whole[begin : begin + size].view(dtype).reshape(shape)


def aligned(array: NDArray[Item]) -> NDArray[Item]:
    """Return a copy that begins with a line."""
    made = aligned_zeros(array.shape, array.dtype.type)
    made[...] = array
    return made
