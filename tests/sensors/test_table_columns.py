"""What the columns of a table hold: by their names, by the caller, by their numbers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.table_columns import (
    Layout,
    Role,
    given_layout,
    layout_of_names,
    layout_of_values,
    role_of,
    with_unit,
)
from retempo.sensors.files.table_values import events_of, times_us
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.tables import moving

PATH = Path("a.csv")
ORDERS: list[tuple[Role, ...]] = [
    ("t", "x", "y", "on"),
    ("x", "y", "t", "on"),
    ("x", "y", "on", "t"),
    ("t", "on", "x", "y"),
]


@pytest.mark.parametrize(
    ("name", "role", "unit"),
    [
        ("t", "t", None),
        (" Timestamp ", "t", None),
        ("ts", "t", None),
        ("t_ns", "t", "ns"),
        ("timestamp [us]", "t", "us"),
        ("time (s)", "t", "s"),
        ("time_ms", "t", "ms"),
        ("ts_microseconds", "t", "us"),
        ('"X"', "x", None),
        ("# polarity", "on", None),
        ("p", "on", None),
        ("units", "channel", None),
        ("tx", "", None),
        ("width", "", None),
    ],
)
def test_a_columns_name_says_what_it_holds_and_in_which_unit(
    name: str, role: str, unit: str | None
) -> None:
    assert role_of(name) == (role, unit)


def test_names_that_leave_an_event_open_are_no_layout() -> None:
    assert layout_of_names(("x", "pol", "y", "t_ns")) == Layout(("x", "on", "y", "t"), "ns")
    assert layout_of_names(("t", "x", "p")) == Layout(("t", "channel", ""))
    assert layout_of_names(("t", "x", "y")) is None
    assert layout_of_names(("t", "time", "x", "y", "p")) is None
    assert layout_of_names(("x", "y", "p")) is None


@pytest.mark.parametrize("roles", ORDERS)
@pytest.mark.parametrize("polarities", [(0, 1), (-1, 1)])
@pytest.mark.parametrize("seconds", [False, True])
def test_the_order_of_a_sensors_events_is_found_from_the_numbers(
    roles: tuple[Role, ...], polarities: tuple[int, int], seconds: bool
) -> None:
    rows = moving(200).astype(np.float64)
    # Small times, so that nothing but their growth tells them from addresses.
    rows[:, 0] = (rows[:, 0] - rows[0, 0]) / (1e6 if seconds else 10)
    rows[:, 0] = rows[:, 0] if seconds else np.floor(rows[:, 0])
    rows[:, 3] = np.where(rows[:, 3] > 0, polarities[1], polarities[0])
    columns = {"t": rows[:, 0], "x": rows[:, 1], "y": rows[:, 2], "on": rows[:, 3]}
    table = np.stack([columns[role] for role in roles], axis=1)
    found = layout_of_values(PATH, table, None)
    assert found.roles == roles
    assert with_unit(found, table[:, roles.index("t")]).unit == ("s" if seconds else "us")


def test_a_few_strays_and_steps_back_do_not_hide_the_order() -> None:
    table = moving(400)[:, [1, 2, 0, 3]]
    table[[7, 90], 0] = -3
    table[200, 3] = 9
    table[50:60, 2] = table[49, 2] - 5
    assert layout_of_values(PATH, table, None).roles == ("x", "y", "t", "on")


def test_few_rows_are_t_x_y_on_unless_a_number_or_the_geometry_speaks_against_it() -> None:
    assert layout_of_values(PATH, np.array([[5, 1, 2, 1]]), None).roles == ORDERS[0]
    assert layout_of_values(PATH, np.array([[5, 1, 70_000, 1]]), None).roles == ORDERS[1]
    assert layout_of_values(PATH, np.array([[5, 1, 700, 1]]), None).roles == ORDERS[0]
    grid = GridGeometry(34, 34)
    assert layout_of_values(PATH, np.array([[5, 1, 700, 1]]), grid).roles == ORDERS[1]
    two = np.array([[0.5, 3], [0.25, 9]])
    assert layout_of_values(PATH, two, ChannelGeometry(70)).roles == ("t", "channel")
    assert layout_of_values(PATH, two[:, ::-1], None).roles == ("channel", "t")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.zeros((3, 6)), r"a\.csv has 6 columns and no names for them; say what they hold, as"),
        (np.random.default_rng(0).integers(0, 2, (99, 4)), "numbers allow t,x,y,on or x,y,t,on or"),
        (np.full((99, 4), 70_000), "allow no order that is known"),
        (np.array([[0, 0, 0, 2]]), r"allow x,y,on,t or t,on,x,y; .*a\.csv#columns=x,y,t_us,on"),
    ],
)
def test_numbers_that_leave_the_order_open_are_refused_with_what_to_write(
    table: np.ndarray, words: str
) -> None:
    with pytest.raises(RecordingError, match=words):
        layout_of_values(PATH, table, None)


def test_columns_that_the_caller_names_are_taken_or_refused_by_name() -> None:
    assert given_layout(PATH, "x, y,_,t_ns,p") == Layout(("x", "y", "", "t", "on"), "ns")
    assert given_layout(PATH, "channel,t_s") == Layout(("channel", "t"), "s")
    with pytest.raises(RecordingError, match="has the unknown name 'q'; expected t"):
        given_layout(PATH, "t,x,q,on")
    with pytest.raises(RecordingError, match="columns=t,x,on,on, which is no event"):
        given_layout(PATH, "t,x,on,on")


INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


@given(st.data(), st.sampled_from(INTEGERS), st.sampled_from([("s", 10**6), ("us", 1)]))
def test_whole_times_of_every_type_are_exact_or_no_time(
    data: st.DataObject, dtype: type[np.integer], scaled: tuple[str, int]
) -> None:
    unit, scale = scaled
    bounds = np.iinfo(dtype)
    values = data.draw(st.lists(st.integers(int(bounds.min), int(bounds.max)), max_size=20))
    offset = data.draw(st.sampled_from([0, 1, -1, 2**62, -(2**62)]))
    t_us, bad = times_us(np.array(values, dtype), unit, offset)  # type: ignore[arg-type]
    for value, time, wrong in zip(values, t_us.tolist(), bad.tolist(), strict=True):
        whole = value * scale
        within = abs(whole) <= (2**63 - 1) // scale * scale or (scale == 1 and whole == -(2**63))
        within = within and -(2**63) <= whole + offset < 2**63
        assert wrong or time == whole + offset
        assert within or wrong
        assert not within or not wrong or abs(whole) > 2**63 - 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_nanoseconds_go_to_the_nearest_microsecond(values: list[int]) -> None:
    t_us, bad = times_us(np.array(values, np.int64), "ns")
    assert t_us.tolist() == [(value + 500) // 1_000 for value in values]
    assert not bad.any()


@given(st.lists(st.floats(), max_size=20), st.sampled_from([np.float16, np.float32, np.float64]))
def test_times_of_floating_type_are_the_nearest_microsecond_or_no_time(
    values: list[float], dtype: type[np.floating]
) -> None:
    with np.errstate(all="ignore"):
        times = np.array(values).astype(dtype)
    t_us, bad = times_us(times, "us")
    for value, time, wrong in zip(times.tolist(), t_us.tolist(), bad.tolist(), strict=True):
        if not np.isfinite(value) or abs(value) >= 2**63:
            assert wrong
        else:
            assert not wrong
            assert abs(time - value) <= 0.5


def test_every_value_that_no_event_has_is_counted_once_by_kind_and_the_first_is_told() -> None:
    nan = float("nan")
    raw = {
        "t": np.array([1.0, nan, 3.0, 4.0, 5.0, 1e30, 7.0]),
        "x": np.array([0, 0, -1, 3, 65_536, -9, 65_535], np.int32),
        "y": np.array([0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0], np.float32),
        "on": np.array([1, 0, 1, 1, 1, 0, -1], np.int8),
    }
    events = events_of(raw, "us", lambda row: f"row {row}")
    assert events.t_us.tolist() == [1, 7]
    assert events.problems.counts == {"time": 2, "address": 3}
    assert (events.problems.kind, events.problems.kept) == ("time", 1)
    assert (
        events.problems.text
        == "row 1 holds t = nan, expected a number of microseconds within 63 bits"
    )
