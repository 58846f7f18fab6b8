"""Filters as people write them: a text, or a table of a configuration."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import FilterError
from retempo.sensors.filters import Filter, build_filters, compile_filters, parse_filter
from retempo.sensors.filters.background import Background
from retempo.sensors.filters.crop import ChannelCrop, Crop
from retempo.sensors.filters.downsample import Downsample
from retempo.sensors.filters.flip import Flip
from retempo.sensors.filters.hot_pixels import HotPixels
from retempo.sensors.filters.merge_polarity import MergePolarity
from retempo.sensors.filters.polarity import Polarity
from retempo.sensors.filters.rate_cap import RateCap
from retempo.sensors.filters.refractory import Refractory
from retempo.sensors.filters.registry import FILTERS, AnySettings
from retempo.sensors.filters.rotate import Rotate

BOTH: list[tuple[str, dict[str, object], Filter]] = [
    ("crop=10,20,64x48", {"kind": "crop", "at": [10, 20], "size": "64x48"}, Crop(10, 20, 64, 48)),
    ("crop=8,32", {"kind": "crop", "at": [8], "size": "32"}, ChannelCrop(8, 32)),
    ("downsample=2", {"kind": "downsample", "factor": 2}, Downsample(2)),
    ("flip=x", {"kind": "flip", "axis": "x"}, Flip("x")),
    ("rotate=90", {"kind": "rotate", "degrees": 90}, Rotate(90)),
    ("polarity=off", {"kind": "polarity", "keep": "off"}, Polarity("off")),
    ("merge-polarity", {"kind": "merge-polarity"}, MergePolarity()),
    ("hot-pixels", {"kind": "hot-pixels"}, HotPixels()),
    ("hot-pixels=5s", {"kind": "hot-pixels", "learn": "5s"}, HotPixels(learn_us=5_000_000)),
    ("refractory=1ms", {"kind": "refractory", "span": "1ms"}, Refractory(1_000)),
    ("background=5ms", {"kind": "background", "span": "5ms"}, Background(5_000)),
    ("rate-cap=1e6", {"kind": "rate-cap", "rate_hz": 1e6}, RateCap(1_000_000)),
    ("rate-cap=500,1s", {"kind": "rate-cap", "rate_hz": 500, "window": "1s"}, RateCap(500, 10**6)),
]


@pytest.mark.parametrize(("text", "table", "expected"), BOTH)
def test_a_text_and_a_table_are_the_same_filter(
    text: str, table: dict[str, object], expected: Filter
) -> None:
    assert parse_filter(text) == expected
    settings = msgspec.convert(table, AnySettings)
    assert build_filters([settings], Path()) == (expected,)
    assert expected.name == table["kind"]


def test_a_table_lists_pixels() -> None:
    settings = msgspec.convert({"kind": "hot-pixels", "pixels": [[3, 4], [5, 6]]}, AnySettings)
    assert build_filters([settings], Path()) == (HotPixels(((3, 4), (5, 6))),)
    both = msgspec.convert({"kind": "hot-pixels", "learn": "1s", "file": "f"}, AnySettings)
    with pytest.raises(FilterError, match=r"filter 1: .* takes learn, file or pixels, one of them"):
        build_filters([both], Path())


def test_every_example_is_a_filter_of_its_name() -> None:
    assert [parse_filter(kind.example).name for kind in FILTERS.values()] == list(FILTERS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("refractry=1ms", "there is no filter 'refractry'; did you mean refractory=1ms?"),
        ("", "there is no filter ''"),
        ("refractory", "the filter 'refractory': '' is no duration.* for example refractory=1ms"),
        ("refractory=0us", "positive multiple of 1 us"),
        ("background=x", "'x' is no duration"),
        ("crop=1,2,3", "a crop's height is a whole number, got ''; for example crop=10,20,64x48"),
        ("crop=-1,2,3x4", "where a crop begins is a whole number, got '-1'"),
        ("downsample=0", "a factor is 1 to 65535, got 0"),
        ("downsample=1.5", "a factor is a whole number, got '1.5'"),
        ("flip=z", "a flip is by x or by y, got 'z'; for example flip=x"),
        ("rotate=45", "a turn is by 90, 180 or 270 degrees, got 45"),
        ("polarity=both", "a polarity is on or off, got 'both'"),
        ("merge-polarity=1", "it takes no value, got '1'"),
        ("rate-cap=fast", "a rate is a number of events a second, got 'fast'"),
        ("rate-cap=0.5", "a rate is a whole number of events a second, got 0.5"),
        ("rate-cap=inf", "whole number"),
        ("rate-cap=1e6,never", "'never' is no duration"),
        ("hot-pixels=absent.txt", "cannot read the list of pixels absent.txt"),
    ],
)
def test_what_is_no_filter_says_how_to_write_one(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        parse_filter(text)


@given(st.sampled_from(sorted(FILTERS)), st.text(max_size=20))
def test_any_text_is_a_filter_or_a_reason(name: str, argument: str) -> None:
    with suppress(FilterError):
        assert parse_filter(f"{name}={argument}").name == name


def test_compiling_runs_every_filter_where_it_can() -> None:
    texts = [kind.example for kind in FILTERS.values()]
    compile_filters([parse_filter(text) for text in texts])
    compile_filters([Crop(60_000, 0, 10, 10)])
