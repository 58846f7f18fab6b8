"""A caller's arrays, looked at before compiled code reads them by address."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.engines.sparse.arena import FLOAT32, INT32, INT64, NDARRAY, table_of
from retempo.runtime.engines.sparse.products import jit
from retempo.runtime.engines.sparse.views import DATA_AT, data_of, itself
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins

Item = TypeVar("Item", bound=np.generic)

_STARTS, _INPUTS, _VALUES = np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.float32)

# What an array object of NumPy keeps round the address of its data, in words of 8 bytes.
_DATA = DATA_AT // 8
_KIND, _SIDES, _LENGTHS, _DTYPE, _FLAGS = _DATA - 1, _DATA + 1, _DATA + 2, _DATA + 5, _DATA + 6
# Contiguous, aligned, writable.
_LIES, _HALF = 0x1 | 0x100 | 0x400, 0xFFFFFFFF
# What a type says of itself: a letter for its kind, one for its size and one for the order of its
# bytes, and its number. Types that came by pickle are objects of their own.
_TYPE, _NAMED = _DATA + 1, -1 ^ (0xFF << 24)
_dtype_at = itself(np.int64, _TYPE + 1)
_words_of, _word_at = itself(np.int64, _FLAGS + 1), itself(np.int64, 1)


@jit
def are_lists(
    a: int, starts: int, inputs: int, values: int, bins: int
) -> bool:  # pragma: no cover - compiled
    """Return whether these objects, by `id`, are such arrays as `check_lists` lets pass.

    To ask NumPy takes as long as to step a small network. One of a subclass, or of a type that is
    the same by another name, does not pass: `check_lists` copies it.
    """
    t = table_of(a)
    listed = _length(inputs, t[NDARRAY], t[INT32])
    if _length(starts, t[NDARRAY], t[INT64]) <= bins:
        return False
    end = _word_at(data_of(starts) + 8 * bins)[0]
    return end <= listed and listed == _length(values, t[NDARRAY], t[FLOAT32]) >= 0


@jit
def _length(array: int, kind: int, dtype: int) -> int:  # pragma: no cover - compiled
    w = _words_of(array)
    if (
        w[_KIND] != kind
        or _dtype_at(w[_DTYPE])[_TYPE] & _NAMED != _dtype_at(dtype)[_TYPE] & _NAMED
        or w[_SIDES] & _HALF != 1
        or w[_FLAGS] & _LIES != _LIES
    ):
        return -1
    length: int = _word_at(w[_LENGTHS])[0]
    return length


def check_lists(bins: SparseBins) -> SparseBins:
    """Return bins whose arrays are as `SparseBins` says and lie as C has them, as the kernel does.

    Whether they list inputs that exist is for the kernel to see.

    Raises:
        EngineError: an array is of another type, shape or length, or does not lie so.
    """
    starts, inputs, values = bins.starts, bins.inputs, bins.values
    # `carray` is contiguous, aligned and writable.
    if not (
        isinstance(starts, np.ndarray)
        and isinstance(inputs, np.ndarray)
        and isinstance(values, np.ndarray)
        and starts.dtype == _STARTS
        and inputs.dtype == _INPUTS
        and values.dtype == _VALUES
        and starts.flags.carray
        and inputs.flags.carray
        and values.flags.carray
        and starts.ndim == inputs.ndim == values.ndim == 1
        and len(starts) > 0
        and len(inputs) == len(values) >= starts.item(-1)
    ):
        raise EngineError(
            "bins are contiguous, aligned, writable arrays: starts int64, one more than the bins, "
            "inputs int32 and values float32, as many as the last start says; got starts "
            f"{_described(starts)}, inputs {_described(inputs)}, values {_described(values)}; "
            "make them with np.ascontiguousarray(list, dtype)"
        )
    return SparseBins(
        starts=_copied(starts, _STARTS),
        inputs=_copied(inputs, _INPUTS),
        values=_copied(values, _VALUES),
    )


def _copied(array: NDArray[Any], dtype: np.dtype[Item]) -> NDArray[Item]:
    # Another constructor would keep the type by its other name.
    made = np.empty(len(array), dtype)
    made[:] = array
    return made


def _described(array: NDArray[np.generic] | object) -> str:
    if not isinstance(array, np.ndarray):
        return f"of {type(array).__name__}"
    flags = array.flags
    strange = [
        text
        for text, found in (
            ("not contiguous", not flags.c_contiguous),
            ("not aligned", not flags.aligned),
            ("read-only", not flags.writeable),
        )
        if found
    ]
    return " ".join([str(array.shape), str(array.dtype), *strange])
