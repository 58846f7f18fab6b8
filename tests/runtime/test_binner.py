"""Bins of a stream: independent of chunks, complete, honest about lateness."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.binner import SILENCE_US, Binner
from retempo.runtime.binning import LATEST, Mask, layout_of
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from tests.builders import cut, make_chunk, seeds

LAYOUT = layout_of(InputSpec(GridSpec(7, 5, 2)))
Numbered = list[tuple[int, NDArray[np.float32]]]


def bins_of(
    chunks: Iterable[EventChunk],
    dt_us: int,
    lateness_us: int = 0,
    silence_us: int = SILENCE_US,
    mask: Mask | None = None,
) -> tuple[Numbered, Counters]:
    counters = Counters()
    layout = LAYOUT if mask is None else layout_of(LAYOUT.spec, mask)
    binner = Binner(layout, dt_us, counters, lateness_us, silence_us)
    bins: Numbered = []
    for chunk in chunks:
        bins += [(number, row.copy()) for number, row in binner.feed(chunk)]
        counters.check()
    bins += [(number, row.copy()) for number, row in binner.finish()]
    counters.check()
    return bins, counters


def assert_same(ours: Numbered, theirs: Numbered) -> None:
    assert [number for number, _ in ours] == [number for number, _ in theirs]
    for (_, row), (_, other) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(row, other)


@given(
    seeds,
    st.integers(1, 200),
    st.integers(1, 3_000),
    st.lists(st.integers(0, 200), max_size=8),
    st.integers(0, 2_000),
)
def test_bins_do_not_depend_on_chunks(
    seed: int, events: int, dt_us: int, cuts: list[int], lateness_us: int
) -> None:
    chunk = make_chunk(events, 9, 6, 5_000, seed)
    whole, counters = bins_of([chunk], dt_us, lateness_us)
    pieces, others = bins_of(cut(chunk, [k for k in cuts if k <= events]), dt_us, lateness_us)
    assert_same(pieces, whole)
    assert counters == others
    assert counters.received == events
    assert sum(row.sum() for _, row in whole) == counters.binned
    assert counters.late == 0


@given(
    seeds,
    st.integers(0, 200),
    st.integers(1, 3_000),
    st.integers(0, 9_000),
    st.booleans(),
    st.booleans(),
)
def test_a_stream_has_the_bins_of_the_recording(
    seed: int, events: int, dt_us: int, silence_us: int, disorder: bool, masked: bool
) -> None:
    """In disorder and under a mask too: training and bulk replay see what a stream sees."""
    rng = np.random.default_rng(seed)
    chunk = make_chunk(events, 9, 6, 5_000, seed, start_us=12_345)
    times = rng.permutation(chunk.t_us) if disorder else chunk.t_us
    mask = rng.random((5, 7)) < 0.5 if masked else None
    chunk = replace(chunk, t_us=times, t_end_us=chunk.t_end_us + silence_us)
    streamed, counters = bins_of([chunk], dt_us, mask=mask)
    whole, counts = bin_recording(chunk, layout_of(LAYOUT.spec, mask), dt_us)
    assert len(streamed) == len(whole)
    for (_, row), other in zip(streamed, whole, strict=True):
        np.testing.assert_array_equal(row, other)
    expected = [counters.binned, counters.late, counters.invalid, counters.masked]
    assert counts[:LATEST].tolist() == expected


@given(
    seeds,
    st.integers(1, 60),
    st.integers(1, 2_000),
    st.lists(st.integers(0, 60), max_size=8),
    st.integers(0, 5_000),
    st.integers(0, 3_000),
)
def test_gaps_do_not_depend_on_chunks_or_heartbeats(
    seed: int, events: int, dt_us: int, cuts: list[int], silence_us: int, lateness_us: int
) -> None:
    chunk = make_chunk(events, 7, 5, 90_000, seed)
    whole, counters = bins_of([chunk], dt_us, lateness_us, silence_us)
    told = []
    for piece in cut(chunk, [k for k in cuts if k <= events]):
        silence = range(int(piece.t_us[-1]) + 1 if len(piece) else 0, piece.t_end_us, 1_700)
        told += [piece if k == 0 else events_at(t_end_us=t) for k, t in enumerate([0, *silence])]
    assert_same(bins_of(told, dt_us, lateness_us, silence_us)[0], whole)
    longest = max((after - before for (before, _), (after, _) in pairwise(whole)), default=1)
    assert (longest > 1) == (counters.gaps > 0)


def test_a_silence_beyond_the_limit_is_a_gap() -> None:
    """An hour's jump costs the limit, not an hour; an event after it lands in its own bin."""
    hour_us = 3_600_000_000
    events = events_at(500, hour_us)
    bins, counters = bins_of([events], 1_000, silence_us=3_000)
    assert [number for number, _ in bins] == [0, 1, 2, 3, hour_us // 1_000]
    assert counters.gaps == 1
    assert len(bins_of([events], 1_000_000)[0]) == SILENCE_US // 1_000_000 + 2


def test_a_watermark_before_the_first_event_costs_nothing() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[0, 0] = True
    chunks = [events_at(5), events_at(t_end_us=2**60), events_at(2**60 + 10, x=1)]
    bins, counters = bins_of(chunks, 1_000, mask=mask)
    assert [number for number, _ in bins] == [(2**60 + 10) // 1_000]
    assert (counters.masked, counters.binned, counters.gaps) == (1, 1, 0)


def test_a_stream_left_in_the_middle_is_accounted_for() -> None:
    """What was not reached is not received, and no bin is given twice."""
    counters = Counters()
    binner = Binner(LAYOUT, 1_000, counters)
    seen = []
    for number, _ in binner.feed(make_chunk(300, 7, 5, 60_000)):
        seen.append(number)
        if len(seen) == 5:
            break
    counters.check()
    assert 0 < counters.received < 300
    seen += [number for number, _ in binner.finish()]
    assert seen == sorted(set(seen))


@given(seeds, st.integers(2, 200), st.integers(1, 1_000), st.integers(0, 1_500))
def test_disorder_within_the_lateness_is_as_sorted(
    seed: int, events: int, dt_us: int, lateness_us: int
) -> None:
    chunk = make_chunk(events, 7, 5, 5_000, seed)
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    delay = np.random.default_rng(seed).integers(0, lateness_us + 1, events)
    order = np.argsort(chunk.t_us + delay, kind="stable")
    shuffled = EventChunk(
        chunk.t_us[order], chunk.t_end_us, chunk.x[order], chunk.y[order], chunk.on[order]
    )
    bins, counters = bins_of([shuffled], dt_us, lateness_us)
    assert counters.late == 0
    assert_same(bins, bins_of([chunk], dt_us)[0])


def events_at(*t_us: int, x: int = 0, t_end_us: int | None = None) -> EventChunk:
    n = len(t_us)
    return EventChunk(
        t_us=np.array(t_us, np.int64),
        t_end_us=t_us[-1] if t_end_us is None else t_end_us,
        x=np.full(n, x, np.uint16),
        y=np.zeros(n, np.uint16),
        on=np.zeros(n, np.bool_),
    )


def test_an_event_beyond_the_lateness_is_counted_late() -> None:
    bins, counters = bins_of([events_at(100, 1_100, 999, 1_200)], 1_000)
    assert [(number, row.sum()) for number, row in bins] == [(0, 1), (1, 2)]
    assert (counters.late, counters.binned) == (1, 3)


def test_a_bin_closes_when_the_watermark_passes_its_end() -> None:
    binner = Binner(LAYOUT, 1_000, Counters(), lateness_us=1_000)
    assert [k for k, _ in binner.feed(events_at(100, t_end_us=1_999))] == []
    assert [k for k, _ in binner.feed(events_at(t_end_us=2_000))] == [0]


def test_silence_is_stepped_one_bin_a_step() -> None:
    bins, _ = bins_of([events_at(100), events_at(t_end_us=5_000)], 1_000)
    assert [(number, row.sum()) for number, row in bins] == [(0, 1)] + [(k, 0) for k in range(1, 5)]


def test_bin_edges_are_half_open() -> None:
    bins, _ = bins_of([events_at(0, 999, 1_000, 1_999, 2_000)], 1_000)
    assert [(number, row.sum()) for number, row in bins] == [(0, 2), (1, 2), (2, 1)]


def test_an_event_outside_the_sensor_moves_nothing() -> None:
    outside = events_at(50_000, x=7)
    bins, counters = bins_of([outside, events_at(100, 1_500), outside], 1_000)
    assert [number for number, _ in bins][:2] == [0, 1]
    assert counters.invalid == 2
    assert counters.late == 0


def test_a_stream_without_events_has_no_bin() -> None:
    bins, counters = bins_of([events_at(t_end_us=9_000), events_at(t_end_us=90_000)], 1_000)
    assert bins == []
    assert counters.received == 0


def test_losses_that_the_source_reports_are_kept_apart() -> None:
    chunk = events_at(1, 2, 3)
    lossy = EventChunk(chunk.t_us, 3, chunk.x, chunk.y, chunk.on, lost=40)
    _, counters = bins_of([lossy], 1_000)
    assert (counters.lost, counters.received, counters.binned) == (40, 3, 3)


def test_negative_times_are_bins_like_others() -> None:
    bins, _ = bins_of([events_at(-1_500, -500, 500)], 1_000)
    assert [number for number, _ in bins] == [-2, -1, 0]


def test_a_time_step_must_be_positive() -> None:
    with pytest.raises(InputError, match="dt_us must be 1 or more"):
        Binner(LAYOUT, 0, Counters())
