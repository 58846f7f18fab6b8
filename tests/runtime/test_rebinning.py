"""Bins made to fit a network that keeps its time step."""

from dataclasses import replace as replace_fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from retempo.exporters.description import BinMode, GridSpec, InputSpec
from retempo.runtime.errors import InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.rebinning import (
    COMBINING,
    EXPANDING,
    check_rebinning,
    combine,
    expand,
    rebin_recording,
)
from retempo.runtime.recorded import bin_recording
from tests.builders import make_chunk, seeds

GRID = InputSpec(GridSpec(7, 5, 2))
BINS = np.array([[6, 0], [0, 3]], np.float32)


def test_repeat_shares_a_bin_out_and_pad_zeros_puts_it_first() -> None:
    assert expand(BINS, 3, "repeat").tolist() == [[2, 0]] * 3 + [[0, 1]] * 3
    none = [[0, 0]] * 2
    assert expand(BINS, 3, "pad_zeros").tolist() == [[6, 0], *none, [0, 3], *none]


@pytest.mark.parametrize(
    ("how", "gathered"),
    [
        ("sum", [[5, 1], [0, 7]]),
        ("binary", [[1, 1], [0, 1]]),
        ("max", [[3, 1], [0, 7]]),
        ("mean", [[2.5, 0.5], [0, 3.5]]),
    ],
)
def test_bins_are_gathered_and_the_missing_is_silence(
    how: str, gathered: list[list[float]]
) -> None:
    bins = np.array([[2, 0], [3, 1], [0, 7]], np.float32)
    found = combine(bins, 2, how)
    assert found.tolist() == gathered
    assert found.dtype == np.float32


@given(seeds, st.integers(0, 9), st.integers(1, 6), st.sampled_from(EXPANDING))
def test_what_is_spread_is_gathered_again(seed: int, bins: int, n: int, how: str) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (bins, 4)).astype(np.float32)
    np.testing.assert_allclose(combine(expand(counts, n, how), n, "sum"), counts, rtol=1e-6)


@given(
    seeds,
    st.sampled_from(["sum", "binary", "max", "mean"]),
    st.integers(1, 5),
    st.integers(1, 8),
    st.integers(1, 150),
    st.integers(0, 3_000),
)
def test_gathering_by_its_own_bin_mode_gives_the_networks_own_bins(
    seed: int, mode: BinMode, units: int, n: int, events: int, silence_us: int
) -> None:
    """Along the edges of source bins, up to the last that a stream would have closed."""
    layout = layout_of(replace(GRID, bin_mode=mode, bin_unit_us=100))
    chunk = make_chunk(events, 7, 5, 6_000, seed, start_us=1_234)
    silent = make_chunk(0, 7, 5, 1, start_us=chunk.t_end_us + silence_us)
    chunk = type(chunk)(chunk.t_us, silent.t_end_us, chunk.x, chunk.y, chunk.on)
    dt_us = 100 * units
    own, _ = bin_recording(chunk, layout, dt_us * n)
    found = rebin_recording(chunk, layout, dt_us, dt_us * n, mode)
    np.testing.assert_allclose(found, own, rtol=1e-5)


@pytest.mark.parametrize("mode", ["sum", "binary", "mean"])
def test_behind_a_gap_bins_are_gathered_along_the_edges_of_source_bins(mode: BinMode) -> None:
    """More than 600 s of silence are left out, and what is left out is no whole source bin."""
    layout = layout_of(replace(GRID, bin_mode=mode, bin_unit_us=1_000_000))
    before, after = make_chunk(9, 7, 5, 70_000_000), make_chunk(9, 7, 5, 70_000_000, 3, 937_000_000)
    columns: dict[str, Any] = {
        key: np.concatenate([getattr(before, key), getattr(after, key)])
        for key in ("t_us", "x", "y", "on")
    }
    chunk = replace_fields(after, **columns)
    own, _ = bin_recording(chunk, layout, 30_000_000)
    found = rebin_recording(chunk, layout, 10_000_000, 30_000_000, mode)
    np.testing.assert_allclose(found, own, rtol=1e-5)


@given(seeds, st.integers(1, 6), st.sampled_from(EXPANDING))
def test_a_rate_is_spread_as_a_rate(seed: int, n: int, how: str) -> None:
    """The same events as counts, each source bin divided by its own length."""
    chunk = make_chunk(80, 7, 5, 40_000, seed)
    counts = rebin_recording(chunk, layout_of(GRID), 2_000 * n, 2_000, how)
    rates = rebin_recording(chunk, layout_of(replace(GRID, bin_mode="mean")), 2_000 * n, 2_000, how)
    np.testing.assert_allclose(rates, counts / 2, rtol=1e-5)


@pytest.mark.parametrize("how", [*EXPANDING, *COMBINING])
def test_at_home_nothing_is_made_of_anything(how: str) -> None:
    chunk = make_chunk(80, 7, 5, 40_000)
    own, _ = bin_recording(chunk, layout_of(GRID), 5_000)
    rebinned = rebin_recording(chunk, layout_of(GRID), 5_000, 5_000, how)
    np.testing.assert_array_equal(rebinned, own)


def test_nothing_binned_is_no_bin() -> None:
    empty = make_chunk(0, 7, 5, 1)
    assert rebin_recording(empty, layout_of(GRID), 1_000, 10_000, "sum").shape == (0, 70)


@pytest.mark.parametrize(
    ("dt_us", "how", "message"),
    [
        (3_000, "sum", "needs a whole ratio, got 3000 us for a network of 10000 us; adapt its"),
        (25_000, "repeat", "needs a whole ratio"),
        (5_000, "repeat", "by repeat does not go from 5000 us to 10000 us; use sum, binary"),
        (20_000, "max", "by max does not go from 20000 us to 10000 us; use repeat, pad_zeros"),
        (20_000, "stretch", "unknown input adaptation 'stretch'; known are repeat, pad_zeros, sum"),
    ],
)
def test_bins_that_cannot_fit_are_refused(dt_us: int, how: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_rebinning(dt_us, 10_000, how)
    with pytest.raises(InputError, match=message):
        rebin_recording(make_chunk(9, 7, 5, 99), layout_of(GRID), dt_us, 10_000, how)


def test_a_bin_is_made_of_at_least_one() -> None:
    for rebin, how in ((expand, "repeat"), (combine, "sum")):
        with pytest.raises(InputError, match="at least 1 bin, got 0"):
            rebin(BINS, 0, how)
    with pytest.raises(InputError, match="unknown input adaptation 'sum'; known are repeat"):
        expand(BINS, 2, "sum")
