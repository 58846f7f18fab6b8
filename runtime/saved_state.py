"""What a checkpoint keeps of a part of a stream: named arrays and plain values, checked on return.

Whoever has a state gives it as `Saved` by `save` and takes it back by `load`. What comes back was
written by another process, maybe of another version: names, types, shapes and ranges are checked
before anything is taken, so that compiled code never reads beyond an array.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from retempo.runtime.errors import CheckpointError

Plain = int | float | str | None
Saved = dict[str, NDArray[Any] | Plain]

_MOST = 1 << 62


def prefixed(name: str, saved: Mapping[str, NDArray[Any] | Plain]) -> Saved:
    """Return the entries of a part under its name."""
    return {f"{name}.{key}": value for key, value in saved.items()}


def part_of(saved: Mapping[str, NDArray[Any] | Plain], name: str) -> Saved:
    """Return the entries of a part that `prefixed` has named."""
    head = f"{name}."
    return {key[len(head) :]: value for key, value in saved.items() if key.startswith(head)}


def taken_array(
    saved: Saved, name: str, dtype: DTypeLike, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return a saved array; None in `shape` stands for any length.

    Raises:
        CheckpointError: it is missing, of another type or shape, or holds NaN or infinity.
    """
    array = saved.get(name)
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"the saved state has no array {name}")
    fits = len(shape) == array.ndim and all(
        wanted in (None, side) for wanted, side in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise CheckpointError(
            f"the saved {name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CheckpointError(f"the saved {name} holds NaN or infinity")
    return array


def taken_int(saved: Saved, name: str, low: int = -_MOST, high: int = _MOST) -> int:
    """Return a saved whole number.

    Raises:
        CheckpointError: it is missing, none, or out of its range.
    """
    value = saved.get(name)
    if type(value) is not int or not low <= value <= high:
        raise CheckpointError(
            f"the saved {name} is {_told(value)}, expected a whole number from {low} to {high}"
        )
    return value


def taken_float(saved: Saved, name: str) -> float:
    """Return a saved number.

    Raises:
        CheckpointError: it is missing, none, or not finite.
    """
    value = saved.get(name)
    if type(value) is not float or not np.isfinite(value):
        raise CheckpointError(f"the saved {name} is {_told(value)}, expected a finite number")
    return value


def taken_text(saved: Saved, name: str) -> str:
    """Return a saved text.

    Raises:
        CheckpointError: it is missing or none.
    """
    value = saved.get(name)
    if not isinstance(value, str):
        raise CheckpointError(f"the saved {name} is {_told(value)}, expected a text")
    return value


def within(array: NDArray[Any], name: str, low: int, high: int) -> None:
    """Check the range of a saved array of whole numbers.

    Raises:
        CheckpointError: a number is out of it.
    """
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise CheckpointError(
            f"the saved {name} holds {int(array.min())} to {int(array.max())}, expected {low} to "
            f"{high}"
        )


def _told(value: object) -> str:
    return "an array" if isinstance(value, np.ndarray) else repr(value)[:80]
