"""Comparisons of many numbers as the bits of one word, and where they stand: in compiled code.

To look at numbers one by one costs a branch each, and of what is active now and then the processor
mispredicts each. A word is compared at once and left bit by bit: `while word`, `lowest(word)`,
`word &= word - 1`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Bits of a word.
WORD = 64
# Numbers that are compared together, a vector of the widest kind.
_LANES = 16
ONE = np.uint64(1)

_BIT, _WORD = ir.IntType(1), ir.IntType(WORD)


def _word_of(context: Any, builder: Any, array: Any, value: Any, at: Any, compare: Any) -> Any:
    """Write what makes a word of `compare(vector, k)` of the 64 numbers from `at` on."""
    word = ir.Constant(_WORD, 0)
    for k in range(0, WORD, _LANES):
        vector = _vector(context, builder, array, value, at, k)
        bits = builder.bitcast(compare(vector, k), ir.IntType(_LANES))
        part = builder.shl(builder.zext(bits, _WORD), ir.Constant(_WORD, k))
        word = builder.or_(word, part)
    return word


def _vector(context: Any, builder: Any, array: Any, value: Any, at: Any, k: int) -> Any:
    data = context.make_array(array)(context, builder, value).data
    place = builder.gep(data, [builder.add(at, ir.Constant(at.type, k))])
    vector = ir.VectorType(ir.FloatType(), _LANES)
    return builder.load(builder.bitcast(place, vector.as_pointer()), align=4)


def _lower_greater(typing: Any, a: Any, a_at: Any, b: Any, b_at: Any) -> Any:  # pragma: no cover
    del typing, a_at, b_at

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a_value, a_from, b_value, b_from = arguments

        def compare(vector: Any, k: int) -> Any:
            other = _vector(context, builder, signature.args[2], b_value, b_from, k)
            return builder.fcmp_ordered(">", vector, other)

        return _word_of(context, builder, signature.args[0], a_value, a_from, compare)

    return types.uint64(a, types.int64, b, types.int64), lower


def _lower_other_than_0(typing: Any, a: Any, a_at: Any) -> Any:  # pragma: no cover - compiled
    del typing, a_at

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a_value, a_from = arguments
        zeros = ir.Constant(ir.VectorType(ir.FloatType(), _LANES), [0.0] * _LANES)

        def compare(vector: Any, k: int) -> Any:
            del k
            return builder.fcmp_unordered("!=", vector, zeros)

        return _word_of(context, builder, signature.args[0], a_value, a_from, compare)

    return types.uint64(a, types.int64), lower


def _lower_lowest(typing: Any, word: Any) -> Any:  # pragma: no cover - compiled
    del typing

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.cttz(arguments[0], ir.Constant(_BIT, 1))

    return types.uint64(word), lower


# `greater(a, i, b, j)`: bit `k` is whether `a[i + k] > b[j + k]`; float32, all 64 exist.
greater: Any = intrinsic(_lower_greater)
# `other_than_0(a, i)`: bit `k` is whether `a[i + k]` is not 0, or no number; as above.
other_than_0: Any = intrinsic(_lower_other_than_0)
# `lowest(word)`: where the lowest bit stands, of a word that is not 0.
lowest: Any = intrinsic(_lower_lowest)
