"""Filters that move addresses: where each pixel goes, and which sensor it is then."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.layout import layout_of
from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import geometry_after, parse_filter
from retempo.sensors.filters.suggest import filters_to
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from tests.sensors.filters.streams import columns, filtered

sides = st.integers(1, 40)
grids = st.builds(GridGeometry, sides, sides, st.sampled_from([1, 2]))


def every_pixel(grid: GridGeometry) -> EventChunk:
    """An event at each pixel, row by row; the time is its number."""
    y, x = np.divmod(np.arange(grid.width * grid.height), grid.width)
    return EventChunk(
        np.arange(len(x)).astype(np.int64),
        len(x),
        x=x.astype(np.uint16),
        y=y.astype(np.uint16),
        on=np.ones(len(x), np.bool_),
    )


def picture(grid: GridGeometry, text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Where the event of each pixel goes: its number, -1 where none does."""
    each = parse_filter(text)
    after = geometry_after([each], grid)
    assert isinstance(after, GridGeometry)
    kept = filtered([every_pixel(grid)], grid, each)
    drawn = np.full((after.height, after.width), -1)
    drawn[kept.y, kept.x] = kept.t_us
    return drawn


@given(grids)
def test_flips_and_turns_are_those_of_a_picture(grid: GridGeometry) -> None:
    before = np.arange(grid.width * grid.height).reshape(grid.height, grid.width)
    assert (picture(grid, "flip=x") == before[:, ::-1]).all()
    assert (picture(grid, "flip=y") == before[::-1]).all()
    for turns in (1, 2, 3):
        # np.rot90 turns counter-clockwise where rows grow downwards.
        assert (picture(grid, f"rotate={90 * turns}") == np.rot90(before, -turns)).all()


@given(grids, st.data())
def test_a_crop_is_a_part_of_the_picture(grid: GridGeometry, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, grid.width - 1)), data.draw(st.integers(0, grid.height - 1))
    width = data.draw(st.integers(1, grid.width - x))
    height = data.draw(st.integers(1, grid.height - y))
    before = np.arange(grid.width * grid.height).reshape(grid.height, grid.width)
    part = before[y : y + height, x : x + width]
    assert (picture(grid, f"crop={x},{y},{width}x{height}") == part).all()


@given(grids, st.integers(1, 50))
def test_downsampling_is_that_of_the_binning(grid: GridGeometry, factor: int) -> None:
    spec = InputSpec(GridSpec(grid.width, grid.height, grid.polarities), downsample=factor)
    layout = layout_of(spec)
    after = geometry_after([parse_filter(f"downsample={factor}")], grid)
    assert isinstance(after, GridGeometry)
    kept = filtered([every_pixel(grid)], grid, parse_filter(f"downsample={factor}"))
    events = every_pixel(grid)
    assert kept.x is not None
    assert kept.y is not None
    binned = layout.columns[events.x] + layout.rows[::2][events.y]
    assert (kept.y.astype(int) * after.width + kept.x == binned).all()
    assert after.addresses == layout.inputs


def test_channels_are_cropped_from_the_first_on() -> None:
    channel = np.arange(10, dtype=np.uint16)
    chunk = EventChunk(np.zeros(10, np.int64), 0, channel=channel)
    kept = filtered([chunk], ChannelGeometry(10), parse_filter("crop=3,4"))
    assert columns(kept)["channel"] == [0, 1, 2, 3]
    assert kept.removed == {"crop": 6}


def test_one_polarity_is_kept_or_both_are_merged() -> None:
    grid = GridGeometry(4, 1)
    chunk = EventChunk(
        np.arange(4).astype(np.int64),
        3,
        x=np.arange(4, dtype=np.uint16),
        y=np.zeros(4, np.uint16),
        on=np.array([True, False, False, True]),
    )
    assert columns(filtered([chunk], grid, parse_filter("polarity=on")))["x"] == [0, 3]
    assert columns(filtered([chunk], grid, parse_filter("polarity=off")))["x"] == [1, 2]
    merged = filtered([chunk], grid, parse_filter("merge-polarity"))
    assert columns(merged)["on"] == [True] * 4
    assert geometry_after([parse_filter("merge-polarity")], grid) == GridGeometry(4, 1, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crop=10,0,7x5", r"crop=10,0,7x5 exceeds the sensor of 16x8x2; x \+ width is at most 16"),
        ("crop=0,0,0x5", "both sides are 1 or more"),
        ("crop=0,8,1x1", r"y \+ height 8"),
        ("crop=0,4", "write the corner and the size, as in crop=10,20,64x48"),
    ],
)
def test_a_part_that_is_none_of_the_sensor_is_refused(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        geometry_after([parse_filter(text)], GridGeometry(16, 8))


def test_one_polarity_has_no_other_to_remove() -> None:
    filters = [parse_filter("merge-polarity"), parse_filter("polarity=on")]
    with pytest.raises(FilterError, match="put it before merge-polarity"):
        geometry_after(filters, GridGeometry(16, 8))


@given(grids, grids)
def test_a_suggestion_makes_the_sensor_that_is_wanted(wanted: Geometry, given_: Geometry) -> None:
    assert isinstance(wanted, GridGeometry)
    assert isinstance(given_, GridGeometry)
    texts = filters_to(wanted, given_)
    after = geometry_after([parse_filter(text) for text in texts], given_)
    fits = (
        wanted.width <= given_.width
        and wanted.height <= given_.height
        and wanted.polarities <= given_.polarities
    )
    assert after == (wanted if fits or texts else given_)


def test_a_large_camera_is_brought_to_a_small_network() -> None:
    texts = filters_to(GridGeometry(34, 34), GridGeometry(1280, 720))
    assert texts == ("crop=283,3,714x714", "downsample=21")
    assert filters_to(GridGeometry(640, 360, 1), GridGeometry(1280, 720)) == (
        "downsample=2",
        "merge-polarity",
    )
    assert filters_to(GridGeometry(173, 130), GridGeometry(346, 260)) == ("downsample=2",)
    assert filters_to(GridGeometry(260, 346), GridGeometry(346, 260)) == ("rotate=90",)
    assert filters_to(ChannelGeometry(32), ChannelGeometry(64)) == ("crop=0,32",)
    apart: list[tuple[Geometry, Geometry]] = [
        (ChannelGeometry(64), ChannelGeometry(32)),
        (GridGeometry(34, 34), ChannelGeometry(64)),
        (GridGeometry(34, 34, 2), GridGeometry(34, 34, 1)),
        (GridGeometry(34, 34), GridGeometry(34, 33)),
    ]
    for wanted, given_ in apart:
        assert filters_to(wanted, given_) == ()
