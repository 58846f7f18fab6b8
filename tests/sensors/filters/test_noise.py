"""Refractory period, background activity and rate cap, in order and out of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import FilterError
from retempo.sensors.filters import parse_filter
from retempo.sensors.filters.background import Background
from retempo.sensors.filters.rate_cap import RateCap
from retempo.sensors.filters.refractory import Refractory
from retempo.sensors.geometry import GridGeometry
from tests.sensors.filters.streams import (
    CHANNELS,
    GRID,
    chunk_of,
    columns,
    filtered,
    grid_chunk,
    streams,
    times,
)

seeds = st.integers(0, 2**32 - 1)


def kept_times(text: str, *events: tuple[int, int, int]) -> list[Any]:
    return columns(filtered([grid_chunk(*events)], GRID, parse_filter(text)))["t_us"]


def test_a_dead_time_counts_from_the_last_event_kept() -> None:
    """A pixel that keeps firing is thinned, not silenced; others do not matter."""
    events = [(0, 1, 1), (60, 1, 1), (99, 1, 1), (100, 1, 1), (150, 2, 1), (199, 1, 1), (200, 1, 1)]
    assert kept_times("refractory=100us", *events) == [0, 100, 150, 200]


def test_polarities_share_a_dead_time() -> None:
    on, off = grid_chunk((0, 1, 1)), grid_chunk((50, 1, 1), on=False)
    assert len(filtered([on, off], GRID, Refractory(100))) == 1


def test_a_late_event_is_dead_too_and_a_clock_set_back_begins_anew() -> None:
    events = [(1_000, 1, 1), (950, 1, 1), (900, 1, 1), (950, 1, 1), (1_000, 1, 1)]
    assert kept_times("refractory=100us", *events) == [1_000, 900, 1_000]
    assert kept_times("refractory=1ms", (10**12, 1, 1), (0, 1, 1), (10, 1, 1)) == [10**12, 0]


@given(seeds, st.integers(1, 500), times(wild=False))
def test_no_two_events_of_a_place_are_closer_than_the_period(
    seed: int, span_us: int, t_us: np.ndarray[Any, Any]
) -> None:
    chunk = chunk_of(np.sort(t_us), CHANNELS, np.random.default_rng(seed), 0.2)
    kept = filtered([chunk], CHANNELS, Refractory(span_us))
    for channel in range(CHANNELS.channels):
        assert (np.diff(kept.t_us[kept.channel == channel]) >= span_us).all()


def test_support_comes_from_the_eight_neighbours_alone() -> None:
    around = [(x, y) for x in (4, 5, 6) for y in (4, 5, 6) if (x, y) != (5, 5)]
    for place in around:
        assert kept_times("background=100us", (0, *place), (100, 5, 5)) == [100]
        assert kept_times("background=100us", (0, *place), (101, 5, 5)) == []
    assert kept_times("background=100us", (0, 5, 5), (1, 5, 5), (2, 5, 5)) == []
    assert kept_times("background=100us", (0, 5, 7), (1, 7, 5), (2, 5, 5)) == []


def test_the_edges_of_a_sensor_do_not_touch() -> None:
    right, bottom = GRID.width - 1, GRID.height - 1
    events = [(0, right, 3), (1, 0, 4), (2, 0, 3), (3, 5, 0), (4, 5, bottom), (5, right, bottom)]
    assert kept_times("background=1ms", *events) == [2]
    assert kept_times("background=1ms", (0, 0, 0), (1, right, bottom)) == []


def test_what_is_removed_supports_its_neighbours() -> None:
    assert kept_times("background=1ms", (0, 1, 1), (1, 2, 1), (2, 3, 1)) == [1, 2]


def test_support_out_of_order_and_after_a_jump() -> None:
    assert kept_times("background=1ms", (5_000, 1, 1), (4_500, 2, 1)) == [4_500]
    assert kept_times("background=1ms", (10**12, 1, 1), (0, 2, 1), (1, 1, 1)) == [1]
    assert kept_times("background=1ms", (0, 1, 1), (10**12, 2, 1)) == []


@given(streams(GRID), st.integers(1, 500))
def test_support_as_the_paper_has_it(chunk: Any, span_us: int) -> None:
    """Held against a search through all events before; an in-order stream."""
    order = np.argsort(chunk.t_us, kind="stable")
    t, x, y = (column[order].tolist() for column in (chunk.t_us, chunk.x, chunk.y))
    if not t:
        return
    expected = []
    for i in range(len(t)):
        near = [
            j
            for j in range(i)
            if max(abs(x[i] - x[j]), abs(y[i] - y[j])) == 1 and t[i] - t[j] <= span_us
        ]
        if near:
            expected.append((t[i], x[i], y[i]))
    kept = filtered([grid_chunk(*zip(t, x, y, strict=True))], GRID, Background(span_us))
    found = columns(kept)
    assert list(zip(found["t_us"], found["x"], found["y"], strict=True)) == expected


@given(times(wild=False), st.integers(1, 100_000), st.integers(1, 5_000))
def test_no_span_holds_more_than_its_rate_and_a_burst(
    t_us: np.ndarray[Any, Any], rate_hz: int, window_us: int
) -> None:
    ordered = np.sort(t_us)
    cap = RateCap(rate_hz, window_us)
    kept = filtered([chunk_of(ordered, CHANNELS, np.random.default_rng(0))], CHANNELS, cap).t_us
    for i in range(len(kept)):
        spans_us = kept[i:] - kept[i]
        most = (spans_us * rate_hz + cap.capacity) // 1_000_000
        assert (np.arange(1, len(spans_us) + 1) <= np.maximum(most, 1)).all()


def test_a_rate_below_the_cap_passes_whole_and_one_beyond_is_thinned_to_it() -> None:
    rng = np.random.default_rng(0)
    slow = chunk_of(np.arange(0, 1_000_000, 1_000), CHANNELS, rng)
    assert len(filtered([slow], CHANNELS, RateCap(1_000, 10_000))) == 1_000
    fast = chunk_of(np.arange(0, 1_000_000, 100), CHANNELS, rng)
    # A second at 1,000 a second, and the full bucket of 10 at its beginning.
    assert len(filtered([fast], CHANNELS, RateCap(1_000, 10_000))) in (1_009, 1_010)


def test_disorder_earns_no_tokens_and_a_clock_set_back_does_not_silence() -> None:
    rng = np.random.default_rng(0)
    zigzag = chunk_of(np.tile([1_000, 0], 500), CHANNELS, rng)
    assert len(filtered([zigzag], CHANNELS, RateCap(1_000, 10_000))) == 10
    reset = chunk_of(np.array([10**12, *range(0, 100_000, 1_000)]), CHANNELS, rng)
    assert len(filtered([reset], CHANNELS, RateCap(1_000, 10_000))) == 101


def test_settings_that_are_none_are_refused() -> None:
    for wrong in (
        lambda: Refractory(0),
        lambda: Background(0),
        lambda: RateCap(0),
        lambda: RateCap(10**9 + 1),
        lambda: RateCap(1, 0),
        lambda: RateCap(1, 3_600_000_001),
    ):
        with pytest.raises(FilterError, match="1"):
            wrong()
    with pytest.raises(FilterError, match="use refractory or hot-pixels for channels"):
        Background(1).geometry_after(CHANNELS)
    assert Refractory(1).geometry_after(GridGeometry(3, 2)) == GridGeometry(3, 2)
