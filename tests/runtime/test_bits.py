"""Words of comparisons against NumPy, numbers that are none included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit

from retempo.runtime.bits import ONE, WORD, greater, lowest, other_than_0
from retempo.runtime.engines.sparse.aligned import LINE_BYTES, aligned, aligned_zeros

BEFORE, BEHIND = 3, 5
floats = arrays(
    np.float32,
    BEFORE + WORD + BEHIND,
    elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, np.nan, np.inf, -np.inf]),
)


@njit
def greater_at(a, i, b, j):  # type: ignore[no-untyped-def]
    return greater(a, i, b, j)


@njit
def other_than_0_at(a, i):  # type: ignore[no-untyped-def]
    return other_than_0(a, i)


@njit
def places(word):  # type: ignore[no-untyped-def]
    found = []
    while word:
        found.append(lowest(word))
        word &= word - ONE
    return found


def listed(word: int) -> list[int]:
    return [int(place) for place in places(np.uint64(word))] if word else []


@given(a=floats, b=floats)
def test_a_word_says_which_numbers_are_greater(a: np.ndarray, b: np.ndarray) -> None:
    word = greater_at(a, BEFORE, b, BEHIND)
    expected = a[BEFORE : BEFORE + WORD] > b[BEHIND : BEHIND + WORD]
    assert listed(word) == np.flatnonzero(expected).tolist()


@given(a=floats)
def test_a_word_says_which_numbers_are_not_0(a: np.ndarray) -> None:
    word = other_than_0_at(a, BEFORE)
    assert listed(word) == np.flatnonzero(a[BEFORE : BEFORE + WORD] != 0.0).tolist()


@pytest.mark.parametrize("shape", [(1,), (7, 5), (600, 1_024)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_arrays_begin_with_a_line(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    made = aligned_zeros(shape, dtype)
    assert made.ctypes.data % LINE_BYTES == 0
    assert made.shape == shape
    assert made.dtype == np.dtype(dtype)
    assert made.flags.c_contiguous
    assert not made.any()
    ones = aligned(np.ones(shape, dtype))
    assert ones.ctypes.data % LINE_BYTES == 0
    np.testing.assert_array_equal(ones, np.ones(shape, dtype))
