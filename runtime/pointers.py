"""Arrays that compiled code makes from addresses.

A call into compiled code unpacks each array that it is given, some 0.1 us each, and counts
references to it. Where that is much of a call, the call takes one table of whole numbers instead,
and the arrays are made from the addresses in it.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _lower_pointer(typing: Any, address: Any) -> Any:  # pragma: no cover - compiled
    del typing

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), lower


# Turns an address into what `numba.carray` takes.
pointer: Any = intrinsic(_lower_pointer)


def _lower_call(typing: Any, entry: Any, *arguments: Any) -> Any:  # pragma: no cover - compiled
    del typing

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        del signature
        word = context.get_value_type(types.int64)
        kind = ir.FunctionType(ir.IntType(32), [word] * len(arguments))
        function = builder.inttoptr(values[0], kind.as_pointer())
        return builder.call(function, cgutils.unpack_tuple(builder, values[1]))  # type: ignore[no-untyped-call]

    return types.int32(entry, types.StarArgTuple(arguments)), lower  # type: ignore[no-untyped-call]


# Calls the kernel at an address by whole numbers: room for its result, room for an exception, its
# arguments; see `runtime.engines.sparse.ahead`.
call_entry: Any = intrinsic(_lower_call)
