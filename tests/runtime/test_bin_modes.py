"""What each bin mode makes of events: as plain text says, in streams as in recordings."""

from collections import Counter
from dataclasses import replace as replace_fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from retempo.exporters.description import BinMode, ChannelSpec, GridSpec, InputSpec
from retempo.runtime.bin_modes import cut_of
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.layout import Mask, layout_of
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from tests.builders import cut, make_chunk, seeds
from tests.runtime.plain_binner import rows_of

GRID = InputSpec(GridSpec(7, 5, 2))
MODES: tuple[BinMode, ...] = ("sum", "binary", "max", "mean")
modes = st.sampled_from(MODES)
Rows = dict[int, NDArray[np.float32]]


def by_hand(chunk: EventChunk, spec: InputSpec, dt_us: int, mask: Mask | None) -> Rows:
    """The meaning of the modes, an event at a time."""
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    rows: Rows = {}
    units: Counter[tuple[int, int, int]] = Counter()
    for t, x, y, on in zip(chunk.t_us, chunk.x, chunk.y, chunk.on, strict=True):
        if x >= 7 or y >= 5 or (mask is not None and mask[y, x]):
            continue
        number, address = int(t) // dt_us, int(on) * 35 + int(y) * 7 + int(x)
        row = rows.setdefault(number, np.zeros(70, np.float32))
        unit = number, address, int(t) // spec.bin_unit_us
        units[unit] += 1
        match spec.bin_mode:
            case "sum" | "mean":
                row[address] += 1
            case "binary":
                row[address] = 1
            case "max":
                row[address] = max(row[address], units[unit])
    length = np.float32(dt_us / spec.bin_unit_us) if spec.bin_mode == "mean" else np.float32(1)
    return {number: row / length for number, row in rows.items()}


def streamed(
    chunks: list[EventChunk], spec: InputSpec, dt_us: int, lateness_us: int, mask: Mask | None
) -> list[tuple[int, NDArray[np.float32]]]:
    counters = Counters()
    binner = Binner(layout_of(spec, mask), dt_us, counters, lateness_us)
    bins = [each for chunk in chunks for each in rows_of(binner.feed(chunk), 70)]
    bins += rows_of(binner.finish(), 70)
    counters.check()
    assert counters.late == 0
    return bins


@given(
    seeds,
    modes,
    st.integers(1, 250),
    st.integers(1, 3_000),
    st.sampled_from([1, 90, 100, 1_000, 7_000]),
    st.lists(st.integers(0, 250), max_size=6),
    st.integers(0, 1_500),
    st.booleans(),
)
def test_stream_recording_and_the_meaning_by_hand_agree(
    seed: int,
    mode: BinMode,
    events: int,
    dt_us: int,
    unit_us: int,
    cuts: list[int],
    lateness_us: int,
    masked: bool,
) -> None:
    """Whatever the chunks, the disorder within the lateness and the mask."""
    rng = np.random.default_rng(seed)
    spec = replace(GRID, bin_mode=mode, bin_unit_us=unit_us)
    mask = rng.random((5, 7)) < 0.3 if masked else None
    chunk = make_chunk(events, 8, 6, 4_000, seed, start_us=-700)
    expected = by_hand(chunk, spec, dt_us, mask)
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    whole, _ = bin_recording(chunk, layout_of(spec, mask), dt_us)
    order = np.argsort(chunk.t_us + rng.integers(0, lateness_us + 1, events), kind="stable")
    columns = {key: getattr(chunk, key)[order] for key in ("t_us", "x", "y", "on")}
    disordered = cut(replace_fields(chunk, **columns), [k for k in cuts if k <= events])
    bins = streamed(disordered, spec, dt_us, lateness_us, mask)
    # A patient stream ends at its last event, and has not closed the silence after it.
    assert len(bins) == len(whole) or (lateness_us and len(bins) < len(whole))
    assert not whole[len(bins) :].any()
    for (number, row), other in zip(bins, whole[: len(bins)], strict=True):
        np.testing.assert_array_equal(row, other)
        np.testing.assert_array_equal(row, expected.pop(number, np.zeros(70, np.float32)))
    assert not expected


def test_three_events_of_one_pixel_by_every_mode() -> None:
    """Two of them within one millisecond, in a bin of four."""
    chunk = EventChunk(
        t_us=np.array([8_100, 8_900, 10_500]), t_end_us=12_000, channel=np.zeros(3, np.uint16)
    )
    inputs = {
        mode: bin_recording(chunk, layout_of(InputSpec(ChannelSpec(1), bin_mode=mode)), 4_000)[0]
        for mode in MODES
    }
    assert {mode: rows.tolist() for mode, rows in inputs.items()} == {
        "sum": [[3.0]],
        "binary": [[1.0]],
        "max": [[2.0]],
        "mean": [[0.75]],
    }


def test_the_unit_of_a_rate_is_the_networks() -> None:
    spec = InputSpec(ChannelSpec(1), bin_mode="mean", bin_unit_us=500)
    chunk = EventChunk(np.array([0, 1, 2]), 4_000, channel=np.zeros(3, np.uint16))
    assert bin_recording(chunk, layout_of(spec), 4_000)[0].tolist() == [[0.375]]


def test_units_that_straddle_a_bin_count_in_it_what_lies_in_it() -> None:
    """Bins of 2.5 ms, units of 1 ms: unit 2 is half in the first bin, half in the second."""
    times = np.array([2_100, 2_200, 2_300, 2_600, 2_700, 3_100])
    chunk = EventChunk(times, 5_000, channel=np.zeros(6, np.uint16))
    spec = InputSpec(ChannelSpec(1), bin_mode="max")
    assert bin_recording(chunk, layout_of(spec), 2_500)[0].tolist() == [[3.0], [2.0]]


@given(st.integers(1, 5_000), st.integers(1, 5_000), st.integers(-50, 50))
def test_the_parts_of_a_bin_hold_all_its_units(dt_us: int, unit_us: int, number: int) -> None:
    cut = cut_of(replace(GRID, bin_mode="max", bin_unit_us=unit_us), dt_us)
    first, last = number * dt_us // unit_us, ((number + 1) * dt_us - 1) // unit_us
    assert last - first < cut.parts
    if dt_us % unit_us == 0:
        assert cut.parts == dt_us // unit_us
    assert cut_of(GRID, dt_us) == (dt_us, 1, None)


def test_units_too_many_to_count_are_refused() -> None:
    spec = InputSpec(GridSpec(1280, 720), bin_mode="max", bin_unit_us=1)
    with pytest.raises(InputError, match=r"max counts 10,000 units of 1 us .* longer bin_unit"):
        Binner(layout_of(spec), 10_000, Counters())
    patient = layout_of(replace(spec, bin_unit_us=1_000))
    assert Binner(patient, 2_000, Counters()).dt_us == 2_000
    with pytest.raises(InputError, match=r"2 units of 1000 us in each of 501 open bins"):
        Binner(patient, 2_000, Counters(), lateness_us=1_000_000)
