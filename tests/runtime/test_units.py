"""Durations and sensors as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.errors import ConfigError
from retempo.runtime.units import format_duration, parse_dt_us, parse_duration_us, parse_geometry
from retempo.sensors.geometry import ChannelGeometry, GridGeometry


@pytest.mark.parametrize(
    ("text", "us"),
    [("1ms", 1_000), ("2.5ms", 2_500), ("500us", 500), ("0.001ms", 1), ("2s", 2_000_000)],
)
def test_durations_read_as_written(text: str, us: int) -> None:
    assert parse_duration_us(text) == us


@given(st.integers(1, 10**9))
def test_every_whole_microsecond_can_be_written(us: int) -> None:
    assert parse_dt_us(f"{us}us") == us
    assert parse_dt_us(f"{us // 1000}.{us % 1000:03d}ms") == us


@pytest.mark.parametrize("text", ["", "ms", "1", "1 m", "-1ms", "1e3us", "1,5ms", "1msx", "٣ms"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match="is no duration; write 1ms"):
        parse_duration_us(text)


def test_a_time_step_is_a_positive_multiple_of_a_microsecond() -> None:
    with pytest.raises(ConfigError, match=r"'0\.5us' is 0\.5 us; times are whole microseconds"):
        parse_dt_us("0.5us")
    with pytest.raises(ConfigError, match="expected a positive multiple of 1 us, got '0ms'"):
        parse_dt_us("0ms")


def test_durations_are_shown_in_the_unit_that_reads_best() -> None:
    shown = [format_duration(us) for us in (500, 2_500, 10_000, 1_500_000)]
    assert shown == ["500 us", "2.5 ms", "10 ms", "1.5 s"]


def test_sensors_read_as_written() -> None:
    assert parse_geometry("346x260") == GridGeometry(346, 260, 2)
    assert parse_geometry("34x34x1") == GridGeometry(34, 34, 1)
    with pytest.raises(ConfigError, match="write WIDTHxHEIGHT"):
        parse_geometry("346x")
    assert parse_geometry("346") == ChannelGeometry(346)
