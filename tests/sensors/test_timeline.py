"""Events over time: bins that widen, whatever the order and the cut."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.timeline import (
    FINEST_US,
    Timeline,
    add_plainly,
    coarsened,
    count_times,
    new_timeline,
    resampled,
)

BINS = 16
# From a clock that starts at nothing to one that counts from 1970, and below nothing.
times = st.one_of(
    st.integers(-5_000, 5_000),
    st.integers(1_589_163_147_000_000, 1_589_163_149_000_000),
    st.integers(-(2**62), 2**62),
)
events = st.lists(st.tuples(times, st.integers(0, 2)), min_size=1, max_size=40)


def counted(pieces: list[list[tuple[int, int]]]) -> Timeline:
    timeline = new_timeline(3, BINS)
    for piece in pieces:
        t_us = np.array([t for t, _ in piece], np.int64)
        timeline = count_times(timeline, t_us, np.array([row for _, row in piece], np.uint16))
    return timeline


@given(events)
def test_every_event_is_counted_in_the_bin_that_holds_its_time(
    drawn: list[tuple[int, int]],
) -> None:
    timeline = counted([drawn])
    assert 1 <= timeline.used <= BINS
    assert timeline.counts.sum() == len(drawn)
    for t_us, row in drawn:
        assert timeline.filled[t_us // timeline.bin_us - timeline.first, row] >= 1
    expected = np.zeros((timeline.used, 3), int)
    for t_us, row in drawn:
        expected[t_us // timeline.bin_us - timeline.first, row] += 1
    assert (timeline.filled == expected).all()


@given(events)
def test_the_bins_are_the_finest_that_hold_the_span(drawn: list[tuple[int, int]]) -> None:
    timeline = counted([drawn])
    earliest, latest = min(t for t, _ in drawn), max(t for t, _ in drawn)
    assert timeline.start_us <= earliest < timeline.start_us + timeline.bin_us
    finer = timeline.bin_us // 2
    if timeline.bin_us > FINEST_US:
        assert latest // finer - earliest // finer >= BINS


@given(events, st.lists(st.integers(0, 40), max_size=5), st.randoms(use_true_random=False))
def test_neither_cut_nor_order_changes_a_count(
    drawn: list[tuple[int, int]], cuts: list[int], random: Random
) -> None:
    whole = counted([drawn])
    shuffled = list(drawn)
    random.shuffle(shuffled)
    edges = [0, *sorted(cuts), len(drawn)]
    pieces = [shuffled[a:b] for a, b in pairwise(edges)]
    cut = counted(pieces)
    assert (cut.bin_us, cut.first, cut.used) == (whole.bin_us, whole.first, whole.used)
    assert (cut.filled == whole.filled).all()


@given(events)
def test_the_kernel_agrees_with_numpy(drawn: list[tuple[int, int]]) -> None:
    timeline = counted([drawn])
    plain = np.zeros_like(timeline.counts)
    t_us = np.array([t for t, _ in drawn], np.int64)
    row = np.array([row for _, row in drawn], np.uint16)
    add_plainly(t_us, row, timeline.bin_us, timeline.first, plain)
    assert (plain == timeline.counts).all()


@given(events, st.integers(1, 10_000_000))
def test_a_coarser_timeline_counts_the_same_in_wider_bins(
    drawn: list[tuple[int, int]], least_us: int
) -> None:
    timeline = counted([drawn])
    coarse = coarsened(timeline, least_us)
    assert coarse.bin_us >= least_us
    assert coarse.bin_us == timeline.bin_us or coarse.bin_us < 2 * least_us
    for t_us, row in drawn:
        assert coarse.filled[t_us // coarse.bin_us - coarse.first, row] >= 1
    assert coarse.filled.sum() == len(drawn)


def test_bins_that_are_shared_keep_the_sum() -> None:
    assert resampled(np.array([4, 0, 2]), 3).tolist() == [4, 0, 2]
    assert resampled(np.array([4, 0, 2]), 2).tolist() == [4, 2]
    assert resampled(np.array([3, 6]), 3) == pytest.approx([2, 3, 4])
    assert resampled(np.arange(100), 7).sum() == pytest.approx(4_950)
