"""Bins in an array that is kept: those of a new one, whatever lay in it before."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.description import BinMode, ChannelSpec, GridSpec, InputSpec
from retempo.runtime.errors import InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.recorded import bin_recording
from retempo.runtime.reused_bins import ReusedBins, clear_events, clear_events_numpy
from retempo.sensors.events import EventChunk
from tests.builders import make_chunk, seeds

GRID = GridSpec(7, 5, 2)


@given(
    seeds,
    st.lists(st.integers(0, 200), min_size=1, max_size=5),
    st.sampled_from([300, 100_000]),
    st.sampled_from(["sum", "binary", "mean", "max"]),
)
def test_reused_bins_are_those_of_a_new_array(
    seed: int, sizes: list[int], span_us: int, mode: BinMode
) -> None:
    """Of recordings of any length in any order, whose zeros are many or few."""
    spec = InputSpec(GRID, downsample=2, bin_mode=mode, bin_unit_us=200)
    layout = layout_of(spec)
    reused = ReusedBins(layout, 500)
    for k, events in enumerate(sizes):
        chunk = make_chunk(events, 9, 6, span_us, seed + k)
        bins, counts = reused.bin(chunk)
        expected, expected_counts = bin_recording(chunk, layout, 500)
        np.testing.assert_array_equal(bins, expected)
        np.testing.assert_array_equal(counts, expected_counts)


def test_the_array_is_kept_as_long_as_it_is_long_enough() -> None:
    layout = layout_of(InputSpec(GRID))
    reused, long, short = (
        ReusedBins(layout, 10),
        make_chunk(50, 7, 5, 9_000),
        make_chunk(9, 7, 5, 90),
    )
    first, _ = reused.bin(long)
    for chunk in (short, long):
        again, _ = reused.bin(chunk)
        assert np.shares_memory(first, again)


def test_what_the_kernel_cannot_make_at_once_leaves_the_array_alone() -> None:
    layout = layout_of(InputSpec(GRID))
    reused, chunk = ReusedBins(layout, 10), make_chunk(50, 7, 5, 9_000)
    disordered = replace(chunk, t_us=chunk.t_us[::-1].copy())
    reused.bin(chunk)
    for each in (disordered, chunk):
        expected, _ = bin_recording(each, layout, 10)
        np.testing.assert_array_equal(reused.bin(each)[0], expected)
    with pytest.raises(InputError, match="too long to be held at once"):
        reused.bin(replace(chunk, t_end_us=10**12 // 2))
    np.testing.assert_array_equal(reused.bin(chunk)[0], bin_recording(chunk, layout, 10)[0])


def test_channels_are_cleared_too() -> None:
    layout = layout_of(InputSpec(ChannelSpec(6)))
    reused = ReusedBins(layout, 100)
    for channels in ([0, 5], [1, 2], [3, 3]):
        chunk = EventChunk(np.array([0, 900]), 900, channel=np.array(channels, np.uint16))
        bins, _ = reused.bin(chunk)
        assert [int(bins[row].argmax()) for row in (0, 9)] == channels
        assert bins.sum() == 2.0


@given(seeds, st.integers(0, 200), st.integers(1, 400), st.integers(-3, 3))
def test_the_clearing_kernel_is_its_twin(seed: int, events: int, dt_us: int, first: int) -> None:
    rng, layout = np.random.default_rng(seed), layout_of(InputSpec(GRID, downsample=2))
    t_us = rng.integers(-500, 1_500, events)
    x, y = (rng.integers(0, side + 2, events).astype(np.uint16) for side in (7, 5))
    columns = (t_us, x, y, rng.random(events) < 0.5)
    one, other = np.ones((3, layout.inputs), np.float32), np.ones((3, layout.inputs), np.float32)
    clear_events(columns, first, dt_us, *layout.arrays[:2], one)
    clear_events_numpy(columns, first, dt_us, *layout.arrays[:2], other)
    np.testing.assert_array_equal(one, other)
