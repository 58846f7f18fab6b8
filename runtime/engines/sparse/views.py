# mypy: disable-error-code="no-untyped-call"
"""Arrays that compiled code makes from addresses where it uses them.

`numba.carray` is a function that is compiled anew for every kind of array, and so would be each
function that calls it: together they took a third of the time to compile the kernel. These are
written into the code that uses them instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

# Where an array object of NumPy keeps the address of its data: behind the head of any object.
DATA_AT = object.__basicsize__

Make = Callable[[Any, Any, Any], tuple[Any, list[Any]]]
Item = TypeVar("Item", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Size:
    """The length of a side: what entry `at` of the table says, or a part of it."""

    at: int
    divisor: int = 1


def view(dtype: type[Item], at: int, *sides: Size | int) -> Callable[[int], NDArray[Item]]:
    """Return `array(a)`: the array whose address is entry `at` of the table at address `a`.

    Args:
        dtype: of the array.
        at: the entry.
        sides: the lengths of its sides, by the table or fixed.
    """

    def make(context: Any, builder: Any, table: Any) -> tuple[Any, list[Any]]:
        word = context.get_value_type(types.int64)
        words = builder.inttoptr(table, word.as_pointer())

        def entry(place: int) -> Any:
            return builder.load(cgutils.gep_inbounds(builder, words, place))

        def length(side: Size | int) -> Any:
            if isinstance(side, int):
                return word(side)
            whole = entry(side.at)
            return whole if side.divisor == 1 else builder.sdiv(whole, word(side.divisor))

        return entry(at), [length(side) for side in sides]

    found: Callable[[int], NDArray[Item]] = _whole(dtype, len(sides), make)
    return found


def itself(dtype: type[Item], entries: int) -> Callable[[int], NDArray[Item]]:
    """Return `array(a)`: the `entries` entries at address `a`."""

    def make(context: Any, builder: Any, address: Any) -> tuple[Any, list[Any]]:
        del builder
        return address, [context.get_value_type(types.int64)(entries)]

    found: Callable[[int], NDArray[Item]] = _whole(dtype, 1, make)
    return found


def _whole(dtype: type[Item], ndim: int, make: Make) -> Any:
    array = types.Array(from_dtype(np.dtype(dtype)), ndim, "C")

    def typed(typing: Any, a: Any) -> Any:
        del typing, a

        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del signature
            return _array(context, builder, array, *make(context, builder, arguments[0]))

        return array(types.int64), lower

    return intrinsic(typed)


def array_of(dtype: type[Item]) -> Callable[[int, tuple[int, ...]], NDArray[Item]]:
    """Return `array(address, shape)`: the array of that shape, a tuple, at an address."""
    item = from_dtype(np.dtype(dtype))

    def typed(typing: Any, address: Any, shape: Any) -> Any:
        del typing, address
        array = types.Array(item, len(shape), "C")

        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at, lengths = arguments
            sides = [
                context.cast(builder, length, kind, types.int64)
                for length, kind in zip(
                    cgutils.unpack_tuple(builder, lengths), signature.args[1], strict=True
                )
            ]
            return _array(context, builder, array, at, sides)

        return array(types.int64, shape), lower

    made: Any = intrinsic(typed)
    found: Callable[[int, tuple[int, ...]], NDArray[Item]] = made
    return found


def _array(context: Any, builder: Any, array: Any, address: Any, sides: Sequence[Any]) -> Any:
    """Write the making of a contiguous array, which owns nothing."""
    item = context.get_data_type(array.dtype)
    size = context.get_abi_sizeof(item)
    word = context.get_value_type(types.int64)
    strides: list[Any] = []
    step = word(size)
    for side in reversed(sides):
        strides.insert(0, step)
        step = builder.mul(step, side)
    made = make_array(array)(context, builder)
    populate_array(
        made,
        data=builder.inttoptr(address, item.as_pointer()),
        shape=list(sides),
        strides=strides,
        itemsize=word(size),
        meminfo=None,
    )
    return made._getvalue()  # noqa: SLF001


def _data_of(typing: Any, array: Any) -> Any:
    """Where the data of the array object at an address lie.

    To ask NumPy costs 1 to 2 us an array, as much as a step of a small network.
    """
    del typing, array

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        word = context.get_value_type(types.int64)
        at = builder.add(arguments[0], word(DATA_AT))
        return builder.load(builder.inttoptr(at, word.as_pointer()))

    return types.int64(types.int64), lower


data_of: Any = intrinsic(_data_of)
