"""A caller's arrays, looked at before compiled code reads them by address."""

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins

_STARTS, _INPUTS, _VALUES = (np.dtype(each) for each in (np.int64, np.int32, np.float32))


def check_lists(bins: SparseBins) -> int:
    """Return how many bins there are, whose arrays are as `SparseBins` says and lie as C has them.

    Whether they list inputs that exist is for the kernel to see.

    Raises:
        EngineError: an array is of another type, shape or length, or does not lie so.
    """
    starts, inputs, values = bins.starts, bins.inputs, bins.values
    # By flags of the arrays alone: this is part of every step. `carray` is contiguous, aligned and
    # writable.
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
    return len(starts) - 1


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
