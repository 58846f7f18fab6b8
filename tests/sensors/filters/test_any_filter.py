"""What holds for every filter: cuts change nothing, and every event is accounted for."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import (
    Chain,
    Filtered,
    apply_filters,
    compile_filters,
    geometry_after,
    parse_filter,
)
from retempo.sensors.filters.hot_detection import mark_lonely, tally_counts
from retempo.sensors.filters.hot_pixels import learn
from retempo.sensors.filters.refractory import rested
from retempo.sensors.filters.registry import FILTERS
from retempo.sensors.filters.select import take_channels, take_pixels
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from tests.sensors.filters.streams import (
    CHANNELS,
    GRID,
    Given,
    columns,
    cut,
    filtered,
    streams,
)

ON_GRIDS = [
    "crop=2,1,6x5",
    "downsample=2",
    "flip=x",
    "flip=y",
    "rotate=90",
    "rotate=180",
    "rotate=270",
    "polarity=on",
    "polarity=off",
    "merge-polarity",
    "hot-pixels=500us",
    "hot-pixels=1s",
    "refractory=300us",
    "background=300us",
    "rate-cap=5000,1ms",
    "rate-cap=1",
]
ON_CHANNELS = ["crop=2,5", "hot-pixels=500us", "refractory=300us", "rate-cap=5000,1ms"]
EVERY = [(text, GRID) for text in ON_GRIDS] + [(text, CHANNELS) for text in ON_CHANNELS]
cuts = st.lists(st.integers(0, 120), max_size=8)


def test_every_filter_is_tested_here() -> None:
    assert {text.partition("=")[0] for text in ON_GRIDS} == set(FILTERS)


@pytest.mark.parametrize(("text", "geometry"), EVERY)
@given(data=st.data(), positions=cuts)
@settings(max_examples=60)
def test_cuts_change_nothing(
    text: str, geometry: Geometry, data: st.DataObject, positions: list[int]
) -> None:
    each = parse_filter(text)
    chunk = data.draw(streams(geometry, beyond=1))
    whole = filtered([chunk], geometry, each)
    pieces = filtered(cut(chunk, positions), geometry, each)
    assert columns(pieces) == columns(whole)
    assert pieces.removed == whole.removed
    assert pieces.problems == whole.problems


@pytest.mark.parametrize(("text", "geometry"), EVERY)
@given(data=st.data())
@settings(max_examples=40)
def test_every_event_is_kept_or_counted_and_lies_within_the_new_geometry(
    text: str, geometry: Geometry, data: st.DataObject
) -> None:
    each = parse_filter(text)
    chunk = data.draw(streams(geometry, beyond=1))
    (kept,) = apply_filters([each], geometry, [chunk])
    removed = kept.removed.get(each.name, 0)
    assert len(chunk) == len(kept) + removed + kept.problems.get("outside", 0)
    assert {**kept.removed, each.name: 0} == {"earlier": 5, each.name: 0}
    assert kept.problems["damaged"] == 2
    same = ("stream", "sequence", "t_end_us", "lost")
    assert [getattr(kept, name) for name in same] == [getattr(chunk, name) for name in same]
    after = geometry_after([each], geometry)
    if isinstance(after, GridGeometry):
        assert kept.x is not None
        assert kept.y is not None
        assert kept.x.max(initial=0) < after.width
        assert kept.y.max(initial=0) < after.height
    else:
        assert kept.channel is not None
        assert kept.channel.max(initial=0) < after.channels


@pytest.mark.parametrize(("text", "geometry"), EVERY)
@given(data=st.data())
@settings(max_examples=10)
def test_a_chunk_is_never_written_to(text: str, geometry: Geometry, data: st.DataObject) -> None:
    chunk = data.draw(streams(geometry))
    before = copy.deepcopy(columns(chunk))
    for name in ("t_us", "x", "y", "on", "channel"):
        column = getattr(chunk, name)
        if column is not None:
            column.flags.writeable = False
    filtered([chunk], geometry, parse_filter(text))
    assert columns(chunk) == before


@given(
    texts=st.lists(st.sampled_from([t for t in ON_GRIDS if "crop" not in t]), max_size=4),
    data=st.data(),
    positions=cuts,
)
def test_filters_in_a_row_are_one_after_the_other(
    texts: list[str], data: st.DataObject, positions: list[int]
) -> None:
    filters = [parse_filter(text) for text in texts]
    chunk = data.draw(streams(beyond=1))
    try:
        together = filtered(cut(chunk, positions), GRID, *filters)
    except FilterError:
        behind = texts[texts.index("merge-polarity") :]
        assert {"polarity=on", "polarity=off"} & {*behind}
        return
    source: Given | Filtered = Given(GRID, cut(chunk, positions))
    for each in filters:
        source = Filtered(source, (each,))
    singly = filtered([*source], source.geometry)
    assert columns(together) == columns(singly)
    assert together.removed == singly.removed


@pytest.mark.parametrize("text", sorted({*ON_GRIDS} - {"rate-cap=5000,1ms"}))
def test_a_row_of_channels_is_refused_by_name_or_filtered(text: str) -> None:
    each = parse_filter(text)
    if text in ON_CHANNELS or each.name in ("hot-pixels", "refractory", "rate-cap"):
        each.geometry_after(CHANNELS)
        return
    with pytest.raises(FilterError, match=rf"the filter {each.name} .*, got 11 channels; \w+"):
        each.geometry_after(CHANNELS)


def test_events_beyond_the_sensor_are_no_events_of_a_filter() -> None:
    """Floor division would fold the column beyond an odd edge back onto the sensor."""
    chunk = EventChunk(
        np.zeros(2, np.int64),
        0,
        x=np.array([13, 12], np.uint16),
        y=np.zeros(2, np.uint16),
        on=np.ones(2, np.bool_),
    )
    (kept,) = apply_filters([parse_filter("downsample=2")], GRID, [chunk])
    assert columns(kept)["x"] == [6]
    assert kept.problems == {"outside": 1}


@pytest.mark.parametrize("text", ["refractory=1ms", "background=1ms", "hot-pixels"])
def test_a_kernel_is_never_given_an_event_beyond_the_sensor(text: str) -> None:
    each = parse_filter(text)
    chunk = EventChunk(
        np.zeros(1, np.int64),
        0,
        x=np.zeros(1, np.uint16),
        y=np.full(1, GRID.height, np.uint16),
        on=np.ones(1, np.bool_),
    )
    with pytest.raises(FilterError, match="events that no sensor of 13x9x2 has; run filters by"):
        each.apply(each.start(GRID), chunk)


def test_without_filters_a_chunk_is_handed_on_as_it_is() -> None:
    chunk = EventChunk(np.zeros(1, np.int64), 0, channel=np.full(1, 99, np.uint16))
    assert Chain.start([], ChannelGeometry(4)).apply(chunk) is chunk


def test_a_live_stream_never_waits_for_a_compiler() -> None:
    """Columns of the wire cannot be written to: to Numba they are of another type."""
    kernels = (rested, learn, mark_lonely, tally_counts, take_pixels, take_channels)
    filters = [parse_filter("refractory=1ms"), parse_filter("hot-pixels=1ms")]
    compile_filters(filters)
    before = [len(kernel.signatures) for kernel in kernels]
    assert min(before) > 0
    for strided in (False, True):
        for sealed in ({"x"}, {"t_us", "y"}, {"t_us", "x", "y", "on"}):
            given_columns: dict[str, Any] = {
                "t_us": np.arange(0, 40_000, 100, dtype=np.int64),
                "x": np.zeros(400, np.uint16),
                "y": np.zeros(400, np.uint16),
                "on": np.ones(400, np.bool_),
            }
            for name, column in given_columns.items():
                given_columns[name] = column[::2] if strided else column
                given_columns[name].flags.writeable = name not in sealed
            chunk = EventChunk(t_end_us=0, **given_columns)
            assert 0 < len(filtered([chunk], GRID, *filters)) < len(chunk)
    assert [len(kernel.signatures) for kernel in kernels] == before
