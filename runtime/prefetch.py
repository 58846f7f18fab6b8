"""Asking the memory for what is read soon, in compiled code."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _lower_prefetch(typing: Any, array: Any, at: Any) -> Any:  # pragma: no cover - compiled
    del typing

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        # To be read, kept in every cache, data.
        builder.call(function, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(array, at), lower


# `prefetch(array, at)` asks for the line of an element, which may lie beyond the array's end.
prefetch: Any = intrinsic(_lower_prefetch)
