"""The bin kernel against its NumPy twin, and whole recordings."""

from dataclasses import replace as replace_fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec
from retempo.runtime.bin_modes import cut_of
from retempo.runtime.binning import (
    BINNED,
    BLOCK,
    CROWDED,
    FOREVER,
    INVALID,
    LATEST,
    MASKED,
    bin_events,
    new_counts,
)
from retempo.runtime.binning_numpy import bin_events_numpy
from retempo.runtime.errors import InputError
from retempo.runtime.layout import check_geometry, layout_of
from retempo.runtime.recorded import bin_recording, reach_of, reach_of_numpy
from retempo.sensors.events import EventChunk
from retempo.sensors.evt.packed import ON_AT, TIME_AT, X_MASK, Y_BITS, Y_MASK
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.builders import make_chunk, seeds

GRID = InputSpec(GridSpec(7, 5, 2), downsample=2)


def draw_mask(seed: int, *, used: bool) -> NDArray[np.bool_] | None:
    return np.random.default_rng(seed).random((5, 7)) < 0.2 if used else None


@given(
    seeds,
    st.integers(0, 200),
    st.integers(1, 400),
    st.integers(1, 9),
    st.integers(0, 9),
    st.sampled_from([0, 1, 3, FOREVER]),
    st.integers(-3, 3),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 1, 7, 100, 350]),
)
def test_the_kernel_is_its_twin(
    seed: int,
    events: int,
    dt_us: int,
    opened: int,
    patience: int,
    silence: int,
    first_bin: int,
    masked: bool,
    ordered: bool,
    unit_us: int | None,
) -> None:
    """From grid columns and from packed events."""
    spec = GRID if unit_us is None else replace(GRID, bin_mode="max", bin_unit_us=unit_us)
    cut = cut_of(spec, dt_us)
    rng = np.random.default_rng(seed)
    layout = layout_of(GRID, draw_mask(seed, used=masked))
    t_us = rng.integers(-500, 1500, events)
    if ordered:
        t_us.sort()
    x, y = (rng.integers(0, side + 2, events).astype(np.uint16) for side in (7, 5))
    on = rng.random(events) < 0.5
    words = (t_us + 500 << TIME_AT) | (on.astype(np.int64) << ON_AT) | (x.astype(int) << Y_BITS) | y
    begin, head = int(rng.integers(0, events + 1)), int(rng.integers(0, opened))
    time = (dt_us, cut.parts, cut.unit_us or 1, min(patience, opened - 1), silence)
    results = []
    for kernel, columns in (
        (bin_events_numpy, (t_us, x, y, on)),
        (bin_events, (t_us, x, y, on)),
        (bin_events, (words, -500)),
    ):
        window = np.zeros((opened * cut.parts, layout.inputs), np.float32)
        active = np.zeros((opened * cut.parts, 1), np.uint64)
        filled, counts = np.zeros(opened, np.int64), new_counts()
        state = (window, active, filled, counts)
        given_to: list[Any] = [*layout.arrays, *state]
        end = kernel(columns, begin, first_bin, head, *time, *given_to)
        results.append((end, *(array.tolist() for array in state)))
        assert counts[:LATEST].sum() == end - begin
        assert window.sum() == counts[BINNED]
        bits = np.unpackbits(active.view(np.uint8), axis=1, bitorder="little")
        few = np.repeat(filled < layout.inputs // CROWDED, cut.parts)
        np.testing.assert_array_equal(bits[few, : layout.inputs], window[few] > 0)
        assert (bits[:, : layout.inputs] <= (window > 0)).all()
        np.testing.assert_array_equal(filled, window.reshape(opened, -1).sum(axis=1))
        without = np.zeros_like(window)
        given_to = [*layout.arrays, without, None, np.zeros_like(filled), new_counts()]
        assert kernel(columns, begin, first_bin, head, *time, *given_to) == end
        np.testing.assert_array_equal(without, window)
    assert results[0] == results[1] == results[2]


@given(
    seeds,
    st.integers(0, 2 * int(BLOCK) + 9),
    st.sampled_from(["t_us", "x", "y"]),
    st.sampled_from([-400, -1, 0, 1, 400]),
    st.booleans(),
    st.booleans(),
)
def test_events_of_a_whole_block_are_counted_as_one_by_one(
    seed: int, at: int, column: str, by_bins: int, masked: bool, listed: bool
) -> None:
    """Where one of them is late, early, beyond the window or outside the sensor, too."""
    rng, events = np.random.default_rng(seed), 2 * int(BLOCK) + 10
    layout = layout_of(GRID, draw_mask(seed, used=masked))
    t_us = 5_000 + np.sort(rng.integers(0, 1_000, events))
    x, y = (rng.integers(0, side, events).astype(np.uint16) for side in (7, 5))
    on = rng.random(events) < 0.5
    if column == "t_us":
        t_us[at] += by_bins * 1_000
    else:
        {"x": x, "y": y}[column][at] = 65_535
    words = (t_us + 500_000 << TIME_AT) | (on.astype(np.int64) << ON_AT)
    words |= (x.astype(int) << Y_BITS & X_MASK << Y_BITS) | (y & Y_MASK)
    kernels: list[tuple[Any, Any]] = [
        (bin_events_numpy, (t_us, x, y, on)),
        (bin_events, (t_us, x, y, on)),
        (bin_events, (words, -500_000)),
    ]
    results = []
    for kernel, columns in kernels:
        counts, window = new_counts(), np.zeros((4, layout.inputs), np.float32)
        active = np.zeros((4, 1), np.uint64) if listed else None
        state: list[Any] = [window, active, np.zeros(4, np.int64), counts]
        end = kernel(columns, 0, 4, 0, 1_000, 1, 1, 1, FOREVER, *layout.arrays, *state)
        results.append((end, *(None if each is None else each.tolist() for each in state)))
    assert results[0] == results[1] == results[2]


@given(seeds, st.integers(0, 20), st.booleans(), st.sampled_from([0, 2, 90]))
def test_the_reach_of_a_recording_is_its_twins(
    seed: int, events: int, ordered: bool, beyond: int
) -> None:
    rng = np.random.default_rng(seed)
    t_us = rng.integers(-500, 1_500, events)
    if ordered:
        t_us.sort()
    x, y = (rng.integers(0, side + beyond, events).astype(np.uint16) for side in (7, 5))
    columns = (t_us, x, y, rng.random(events) < 0.5)
    assert reach_of(columns, 7, 5) == reach_of_numpy(columns, 7, 5)


@given(seeds, st.integers(0, 300), st.integers(1, 700))
def test_a_recording_keeps_every_event(seed: int, events: int, dt_us: int) -> None:
    chunk = make_chunk(events, 7, 5, 10_000, seed)
    bins, counts = bin_recording(chunk, layout_of(GRID), dt_us)
    assert bins.sum() == counts[BINNED] == events


def test_an_event_lands_at_its_bin_and_input() -> None:
    chunk = EventChunk(
        t_us=np.array([2_000, 2_999, 3_000]),
        t_end_us=3_000,
        x=np.array([0, 6, 3], np.uint16),
        y=np.array([0, 4, 1], np.uint16),
        on=np.array([False, True, True]),
    )
    bins, _ = bin_recording(chunk, layout_of(GRID), 1_000)
    columns, rows = 4, 3  # 7 x 5 downsampled by 2
    assert bins.shape == (2, 2 * rows * columns)
    assert np.flatnonzero(bins[0]).tolist() == [0, rows * columns + 2 * columns + 3]
    assert np.flatnonzero(bins[1]).tolist() == [rows * columns + 1]


def test_one_polarity_adds_both() -> None:
    layout = layout_of(InputSpec(GridSpec(7, 5, 1)))
    chunk = make_chunk(50, 7, 5, 900)
    assert layout.inputs == 35
    assert bin_recording(chunk, layout, 1_000)[0].sum() == 50


def test_channels_are_a_row_without_polarity() -> None:
    layout = layout_of(InputSpec(ChannelSpec(10), downsample=5))
    chunk = EventChunk(
        t_us=np.array([0, 10, 20, 30]),
        t_end_us=30,
        channel=np.array([0, 4, 5, 12], np.uint16),
    )
    bins, counts = bin_recording(chunk, layout, 100)
    assert bins.tolist() == [[2.0, 1.0]]
    assert counts[INVALID] == 1


def test_masked_addresses_are_counted_apart() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[1, 3] = True
    chunk = make_chunk(500, 7, 5, 10_000)
    assert chunk.x is not None
    assert chunk.y is not None
    hot = int(((chunk.x == 3) & (chunk.y == 1)).sum())
    _, counts = bin_recording(chunk, layout_of(GRID, mask), 1_000)
    assert hot > 0
    assert counts[MASKED] == hot
    assert counts[BINNED] == 500 - hot


def test_a_recording_too_long_to_hold_says_so() -> None:
    chunk = make_chunk(2, 7, 5, 10)
    far = replace_fields(chunk, t_us=np.array([0, 10**12]), t_end_us=10**12)
    with pytest.raises(InputError, match="too long to be held at once; cut it"):
        bin_recording(far, layout_of(GRID), 1)


def test_nothing_binned_is_no_bin() -> None:
    empty = make_chunk(0, 7, 5, 1)
    assert bin_recording(empty, layout_of(GRID), 1_000)[0].shape == (0, 24)
    everywhere = np.ones((5, 7), np.bool_)
    bins, counts = bin_recording(make_chunk(9, 7, 5, 99), layout_of(GRID, everywhere), 10)
    assert bins.shape == (0, 24)
    assert counts[MASKED] == 9


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"mask has the shape \(7, 5\), the sensor \(5, 7\)"):
        layout_of(GRID, np.zeros((7, 5), np.bool_))


def test_a_stream_of_another_sensor_is_told_both() -> None:
    with pytest.raises(InputError, match=r"m\.onnx expects 7x5x2 inputs, evt3\.raw is 1280x720x2"):
        check_geometry(GRID, GridGeometry(1280, 720), "evt3.raw", "m.onnx")
    with pytest.raises(InputError, match="64 channels"):
        check_geometry(GRID, ChannelGeometry(64), "cochlea", "m.onnx")
    check_geometry(GRID, GridGeometry(7, 5), "right", "m.onnx")
