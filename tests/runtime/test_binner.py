"""Bins of a stream: independent of chunks, complete, honest about lateness."""

import copy
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_spec
from numpy.typing import NDArray

from retempo.exporters.description import BinMode, GridSpec, InputSpec
from retempo.runtime.binner import SILENCE_US, Binner
from retempo.runtime.binning import LATEST
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.layout import Mask, layout_of
from retempo.runtime.recorded import bin_recording
from retempo.runtime.rows import RowBinner
from retempo.runtime.window_table import WINDOW_BYTES
from retempo.sensors.events import EventChunk
from tests.builders import cut, make_chunk, seeds
from tests.runtime.plain_binner import Numbered, plain_bins, rows_of

LAYOUT = layout_of(InputSpec(GridSpec(7, 5, 2)))
# From a window of one bin, but for the lateness, to one of 64.
window_bytes = st.sampled_from([1, 2_000, WINDOW_BYTES])


def bins_of(
    chunks: Iterable[EventChunk],
    dt_us: int,
    lateness_us: int = 0,
    silence_us: int = SILENCE_US,
    mask: Mask | None = None,
    window_bytes: int = WINDOW_BYTES,
) -> tuple[Numbered, Counters]:
    counters = Counters()
    layout = LAYOUT if mask is None else layout_of(LAYOUT.spec, mask)
    binner = Binner(layout, dt_us, counters, lateness_us, silence_us, window_bytes)
    bins: Numbered = []
    for chunk in chunks:
        bins += rows_of(binner.feed(chunk), LAYOUT.inputs)
        counters.check()
    bins += rows_of(binner.finish(), LAYOUT.inputs)
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
    st.integers(0, 120),
    st.integers(1, 3_000),
    st.lists(st.integers(0, 120), max_size=6),
    st.sampled_from([0, 1, 700, 5_000]),
    st.sampled_from([0, 900, 20_000]),
    window_bytes,
    st.booleans(),
)
def test_bins_and_counters_are_what_binning_means(
    seed: int,
    events: int,
    dt_us: int,
    cuts: list[int],
    lateness_us: int,
    silence_us: int,
    window_bytes: int,
    masked: bool,
) -> None:
    """In any disorder, however long the window: as lists and as rows."""
    rng = np.random.default_rng(seed)
    chunk = make_chunk(events, 8, 6, int(rng.choice([300, 9_000, 60_000])), seed, start_us=-2_000)
    disorder = rng.integers(0, rng.choice([1, 500, 9_000]), events)
    order = np.argsort(chunk.t_us + disorder, kind="stable")
    chunk = replace(chunk, t_us=chunk.t_us[order], t_end_us=int(rng.integers(-9_000, 90_000)))
    chunks = cut(chunk, [k for k in cuts if k <= events])
    layout = layout_of(LAYOUT.spec, rng.random((5, 7)) < 0.4 if masked else None)
    settings = (dt_us, lateness_us, silence_us)
    expected, counts = plain_bins(chunks, layout, *settings)
    bins, counters = bins_of(chunks, *settings, layout.mask if masked else None, window_bytes)
    assert_same(bins, expected)
    assert counters == counts
    binner = RowBinner(layout, dt_us, counters := Counters(), *settings[1:], window_bytes)
    parts = [*(binner.feed(piece) for piece in chunks), binner.finish()]
    rows = [
        (first + k, row.copy())
        for part in parts
        for first, some in part
        for k, row in enumerate(some)
    ]
    assert_same(rows, expected)
    assert counters == counts


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
    chunk = make_chunk(2_000, 7, 5, 900_000)
    whole = bins_of([chunk], 1_000)[0]
    for give_up_at in (1, 2):
        counters = Counters()
        binner = Binner(LAYOUT, 1_000, counters)
        seen: Numbered = []
        for blocks, block in enumerate(binner.feed(chunk), 1):
            seen += rows_of([block], LAYOUT.inputs)
            if blocks == give_up_at:
                break
        counters.check()
        assert 0 < counters.received < 2_000
        left = counters.received
        seen += rows_of(binner.finish(), LAYOUT.inputs)
        assert counters.received == left == sum(row.sum() for _, row in seen)
        assert_same(seen[:-1], whole[: len(seen) - 1])


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
    assert list(binner.feed(events_at(100, t_end_us=1_999))) == []
    assert [(b.first, len(b.bins)) for b in binner.feed(events_at(t_end_us=2_000))] == [(0, 1)]


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


def gathered(
    spec: InputSpec, chunks: Iterable[EventChunk], numbers: list[int], *settings: int
) -> tuple[list[tuple[int, int, NDArray[np.float32]]], Counters]:
    """Bins as number, dt and row; before chunk `k` the binner is told to gather `numbers[k]`."""
    layout, counters = layout_of(spec), Counters()
    binner = Binner(layout, settings[0], counters, *settings[1:])
    bins = []
    for k, chunk in enumerate([*chunks, None]):
        if k < len(numbers):
            binner.gather(numbers[k])
        for block in binner.finish() if chunk is None else binner.feed(chunk):
            bins += [(j, block.dt_us, row) for j, row in rows_of([block], layout.inputs)]
        counters.check()
    return bins, counters


@given(
    seeds,
    st.integers(1, 120),
    st.integers(1, 2_000),
    st.lists(st.integers(0, 120), max_size=8),
    st.lists(st.sampled_from([1, 2, 3, 4, 6, 100]), max_size=8),
    st.sampled_from([0, 900, 3_000]),
    st.sampled_from([0, 900, 20_000]),
    st.sampled_from(["sum", "binary", "mean", "max"]),
)
def test_gathered_bins_are_the_bins_whenever_it_changes(
    seed: int,
    events: int,
    dt_us: int,
    cuts: list[int],
    numbers: list[int],
    lateness_us: int,
    silence_us: int,
    mode: BinMode,
) -> None:
    """Every bin is in one gathered bin, along its edges, and counts as the bin mode says."""
    unit_us = dt_us if mode == "max" else 700
    spec = replace_spec(LAYOUT.spec, bin_mode=mode, bin_unit_us=unit_us)
    chunk = make_chunk(events, 8, 6, 60_000, seed, start_us=-5_000)
    delay = np.random.default_rng(seed).integers(0, lateness_us + 1, events)
    order = np.argsort(chunk.t_us + delay, kind="stable")
    columns = {key: getattr(chunk, key)[order] for key in ("t_us", "x", "y", "on")}
    chunks = cut(replace(chunk, **columns), [k for k in cuts if k <= events])
    settings = (dt_us, lateness_us, silence_us)
    bins, counters = gathered(spec, chunks, numbers, *settings)
    plain, expected = plain_bins(chunks, LAYOUT, *settings)
    assert (counters.binned, counters.late) == (expected.binned, expected.late)
    counts = dict(plain)
    end = min(counts, default=0)
    for number, long_us, row in bins:
        n = long_us // dt_us
        assert long_us == n * dt_us
        # The first may begin before the first event, in silence; none overlaps another.
        assert number * n >= end or number == bins[0][0]
        end = (number + 1) * n
        inside = [counts.pop(k, np.zeros(70)) for k in range(number * n, end)]
        total = np.max(inside, axis=0) if mode == "max" else np.sum(inside, axis=0)
        if mode == "binary":
            total = np.minimum(total, 1)
        elif mode == "mean":
            total = total.astype(np.float32) / np.float32(long_us / unit_us)
        np.testing.assert_array_equal(row, total.astype(np.float32))
    assert not any(row.any() for row in counts.values())


@given(
    seeds,
    st.integers(1, 60),
    st.integers(1, 2_000),
    st.lists(st.integers(0, 60), max_size=8),
    st.sampled_from([2, 3, 40]),
    st.integers(0, 5_000),
    st.sampled_from([0, 900, 3_000]),
)
def test_gathered_bins_do_not_depend_on_chunks_or_heartbeats(
    seed: int,
    events: int,
    dt_us: int,
    cuts: list[int],
    n: int,
    silence_us: int,
    lateness_us: int,
) -> None:
    chunk = make_chunk(events, 7, 5, 90_000, seed)
    settings = (LAYOUT.spec, [chunk], [n], dt_us, lateness_us, silence_us)
    whole, counters = gathered(*settings)
    told = []
    for piece in cut(chunk, [k for k in cuts if k <= events]):
        silence = range(int(piece.t_us[-1]) + 1 if len(piece) else 0, piece.t_end_us, 1_700)
        told += [piece if k == 0 else events_at(t_end_us=t) for k, t in enumerate([0, *silence])]
    pieces, others = gathered(LAYOUT.spec, told, [n], dt_us, lateness_us, silence_us)
    assert [found[:2] for found in pieces] == [found[:2] for found in whole]
    for (*_, row), (*_, other) in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(row, other)
    assert others == counters


def test_gathering_begins_and_ends_at_edges_that_are_whole_in_both() -> None:
    chunks = [events_at(t, t_end_us=t + 1_000) for t in range(3_000, 40_000, 1_000)]
    numbers = [1] * 2 + [4] * 4 + [6] * 9 + [1] * 30
    bins, _ = gathered(LAYOUT.spec, chunks, numbers, 1_000)
    edges = [(number * dt_us, dt_us) for number, dt_us, _ in bins]
    assert edges[:5] == [(t, 1_000) for t in range(3_000, 8_000, 1_000)]
    assert edges[5:8] == [(8_000, 4_000), (12_000, 6_000), (18_000, 1_000)]
    assert [row.sum() for *_, row in bins[:8]] == [1] * 5 + [4, 6, 1]


def test_what_cannot_be_gathered_is_refused() -> None:
    binner = Binner(LAYOUT, 1_000, Counters())
    with pytest.raises(InputError, match="at least 1 bin of 1000 us is closed at a time, got 0"):
        binner.gather(0)
    peaks = layout_of(replace_spec(LAYOUT.spec, bin_mode="max", bin_unit_us=300))
    binner = Binner(peaks, 1_000, Counters())
    binner.gather(1)
    with pytest.raises(InputError, match="max counts units of 300 us, of which bins of 1000 us"):
        binner.gather(2)


def test_a_window_is_not_copied() -> None:
    with pytest.raises(TypeError, match="a window holds addresses and cannot be copied"):
        copy.deepcopy(Binner(LAYOUT, 1_000, Counters()))
