"""Rows to lists: the kernels against their NumPy twins."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.runtime.closing import (
    AS_IT_IS,
    AS_ONE,
    AS_RATE,
    list_row,
    list_row_numpy,
    mark_row,
    mark_row_numpy,
    merge_row,
    merge_row_numpy,
)
from tests.builders import seeds

# Less than a word, whole words, and more than those.
sizes = st.sampled_from([1, 63, 64, 65, 128, 500])


def draw_row(rng: np.random.Generator, inputs: int) -> tuple[NDArray[Any], NDArray[Any]]:
    share = rng.choice([0.0, 0.02, 0.5, 1.0])
    row = (rng.integers(1, 9, inputs) * (rng.random(inputs) < share)).astype(np.float32)
    bits = np.zeros(-(-inputs // 64) * 64, np.uint8)
    bits[:inputs] = row > 0
    return row, np.packbits(bits, bitorder="little").view(np.uint64)


@given(seeds, sizes)
def test_marking_is_its_twin_and_finds_every_entry(seed: int, inputs: int) -> None:
    row, words = draw_row(np.random.default_rng(seed), inputs)
    for kernel in (mark_row, mark_row_numpy):
        marked = np.full_like(words, 1)
        kernel(row, marked)
        assert marked.tolist() == words.tolist()


@given(seeds, sizes, st.booleans())
def test_merging_is_its_twin_and_leaves_nothing(seed: int, inputs: int, peak: bool) -> None:
    results = []
    for kernel in (merge_row, merge_row_numpy):
        rng = np.random.default_rng(seed)
        (row, words), (into, into_words) = draw_row(rng, inputs), draw_row(rng, inputs)
        kernel(row, words, into, into_words, peak)
        assert not row.any()
        assert not words.any()
        results.append((into.tolist(), into_words.tolist()))
    assert results[0] == results[1]


@given(seeds, sizes, st.booleans(), st.sampled_from([AS_IT_IS, AS_ONE, AS_RATE]), st.integers(0, 9))
def test_listing_is_its_twin_and_leaves_nothing(
    seed: int, inputs: int, whole: bool, meaning: int, at: int
) -> None:
    """By its marks, or as a whole without them."""
    results = []
    for kernel in (list_row, list_row_numpy):
        row, words = draw_row(np.random.default_rng(seed), inputs)
        words[:] = 0 if whole else words
        room = at + inputs + 1
        listed, values = np.full(room, -1, np.int32), np.full(room, -1, np.float32)
        end = kernel(row, words, whole, meaning, np.float32(3.7), listed, values, at)
        assert not row.any()
        assert not words.any()
        results.append((end, listed[:end].tolist(), values[:end].tolist()))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("meaning", "values"), [(AS_IT_IS, [3.0, 1.0]), (AS_ONE, [1.0, 1.0]), (AS_RATE, [1.5, 0.5])]
)
def test_what_a_count_means(meaning: int, values: list[float]) -> None:
    row, words = np.zeros(130, np.float32), np.zeros(3, np.uint64)
    row[[2, 129]], words[[0, 2]] = (3.0, 1.0), (4, 2)
    inputs, listed = np.zeros(130, np.int32), np.zeros(130, np.float32)
    assert list_row(row, words, False, meaning, np.float32(2.0), inputs, listed, 0) == 2
    assert inputs[:2].tolist() == [2, 129]
    assert listed[:2].tolist() == values
