"""Parts of a stream in time, times from zero, and streams put in order, however they are cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.collect import read_all
from retempo.sensors.errors import RecordingError, SensorError, UnitError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.sensors.ordering import Ordered
from retempo.sensors.parts import recut
from retempo.sensors.selection import FromZero, Moment, TimeRange, parse_moment
from retempo.sensors.tally import Tallied
from tests.sensors.writing.sources import Given, channel_chunk, columns, cut, grid_chunk

GRID = GridGeometry(34, 34)
CHANNELS = ChannelGeometry(8)
positions = st.lists(st.integers(0, 40), max_size=6)
counts = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 5))


@dataclass
class Watched:
    """A source that notes which of its chunks were asked for."""

    source: Given
    taken: list[int] = field(default_factory=list)
    name: str = "watched"
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        for place, chunk in enumerate(self.source):
            self.taken.append(place)
            yield chunk


@st.composite
def streams(draw: st.DrawFn, *, ordered: bool = True) -> Given:
    """Draw a stream of pixels or channels with honest watermarks, cut anywhere."""
    t_us = draw(st.lists(st.integers(-50, 200), max_size=40))
    t_us = sorted(t_us) if ordered else t_us
    address = list(range(len(t_us)))
    whole = (
        grid_chunk(t_us, [k % 34 for k in address], [k % 7 for k in address], [True] * len(t_us))
        if draw(st.booleans())
        else channel_chunk(t_us, [k % 8 for k in address])
    )
    chunks = cut(whole, draw(positions))
    to_come = np.minimum.accumulate(
        [min(chunk.t_us.tolist(), default=1_000) for chunk in chunks][::-1]
    )[::-1].tolist()
    told = [
        replace(chunk, t_end_us=t_end_us, lost=draw(st.integers(0, 3)), problems=draw(counts))
        for chunk, t_end_us in zip(chunks, [*to_come[1:], 1_000], strict=True)
    ]
    return Given(told, GRID if whole.channel is None else CHANNELS)


def assert_honest(source: Source) -> None:
    """Every watermark holds for the chunks behind it, and none goes back."""
    chunks = list(source)
    ends = [chunk.t_end_us for chunk in chunks]
    assert ends == sorted(ends)
    for place, t_end_us in enumerate(ends):
        for later in chunks[place + 1 :]:
            assert (later.t_us >= t_end_us).all()


moments = st.one_of(
    st.none(),
    st.builds(Moment, st.integers(0, 270)),
    st.builds(Moment, st.integers(-60, 220), st.just(value=True)),
)


@given(source=streams(), begin=moments, end=moments)
def test_a_range_holds_the_events_between_its_bounds(
    source: Given, begin: Moment | None, end: Moment | None
) -> None:
    if begin and end and begin.absolute == end.absolute and begin.us >= end.us:
        with pytest.raises(SensorError, match="holds no time"):
            TimeRange(source, begin, end)
        return
    whole = read_all(source)
    zero_us = int(whole.t_us[0]) if len(whole) else 0
    keep = np.ones(len(whole), np.bool_)
    if begin is not None:
        keep &= whole.t_us >= (begin.us if begin.absolute else zero_us + begin.us)
    if end is not None:
        keep &= whole.t_us < (end.us if end.absolute else zero_us + end.us)
    part = TimeRange(source, begin, end)
    wanted = {name: np.array(values)[keep].tolist() for name, values in columns(whole).items()}
    assert columns(read_all(part)) == wanted
    assert_honest(part)
    if end is None:
        assert read_all(part).problems == whole.problems
        assert read_all(part).lost == whole.lost


def test_reading_stops_where_no_event_of_the_range_can_follow() -> None:
    chunks = [
        replace(channel_chunk([10 * k, 10 * k + 5], [0, 1]), t_end_us=10 * k + 8) for k in range(9)
    ]
    source = Watched(Given(chunks, CHANNELS))
    part = list(TimeRange(source, Moment(20), Moment(47)))
    assert source.taken == [0, 1, 2, 3, 4]
    assert [chunk.t_us.tolist() for chunk in part] == [[], [], [20, 25], [30, 35], [40, 45]]
    assert [chunk.t_end_us for chunk in part] == [8, 18, 28, 38, 47]


def test_a_range_of_a_file_out_of_order_waits_for_its_stragglers() -> None:
    chunks = [
        replace(channel_chunk([0, 60], [0, 1]), t_end_us=30),
        replace(channel_chunk([30, 70], [2, 3]), t_end_us=70),
    ]
    part = TimeRange(Given(chunks, CHANNELS), end=Moment(50))
    assert read_all(part).t_us.tolist() == [0, 30]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1s", Moment(1_000_000)),
        ("2.5ms", Moment(2_500)),
        ("0us", Moment(0)),
        ("@1589163147.368868s", Moment(1_589_163_147_368_868, absolute=True)),
        ("@-3ms", Moment(-3_000, absolute=True)),
        ("100000s", Moment(100_000_000_000)),
    ],
)
def test_a_moment_is_read(text: str, moment: Moment) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text", ["", "1", "-1s", "1h", "@", "@1", "1.5us", "9999999999999s", "1 ms s"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match=r"moment|whole microseconds"):
        parse_moment(text)


@given(source=streams())
def test_times_count_from_the_first_event(source: Given) -> None:
    whole, moved = read_all(source), read_all(FromZero(source))
    zero_us = int(whole.t_us[0]) if len(whole) else 0
    assert moved.t_us.tolist() == (whole.t_us - zero_us).tolist()
    assert (moved.problems, moved.lost) == (whole.problems, whole.lost)
    assert_honest(FromZero(source))


@given(source=streams(ordered=False))
def test_a_window_that_is_long_enough_puts_every_event_in_order(source: Given) -> None:
    whole = read_all(source)
    order = np.argsort(whole.t_us, kind="stable")
    late = (np.maximum.accumulate(whole.t_us) - whole.t_us).max(initial=0)
    in_order = Ordered(source, int(late))
    wanted = {name: np.array(values)[order].tolist() for name, values in columns(whole).items()}
    got = read_all(in_order)
    assert columns(got) == wanted
    assert (got.problems, got.lost) == (whole.problems, whole.lost)
    assert_honest(in_order)
    if late:
        with pytest.raises(RecordingError, match=rf"at most {late - 1} us are put in order"):
            read_all(Ordered(source, int(late) - 1))


def test_no_more_than_the_window_is_held() -> None:
    chunks = [channel_chunk(list(range(k, k + 100)), [0] * 100) for k in range(0, 1_000, 100)]
    held, came = 0, 0
    watched = Watched(Given(chunks, CHANNELS))
    for chunk in Ordered(watched, 30):
        came += len(chunk)
        held = max(held, 100 * len(watched.taken) - came)
    # Those of the last 30 us, and the one at the limit.
    assert held == 31
    assert came == 1_000


@given(source=streams(), events=st.integers(1, 12))
def test_chunks_are_recut_to_a_number_of_events(source: Given, events: int) -> None:
    whole = read_all(source)
    pieces = list(recut(source, events))
    sizes = [len(piece) for piece in pieces]
    assert sizes[:-1] == [events] * len(sizes[:-1])
    assert all(0 < size <= events for size in sizes)
    assert columns(read_all(Given(pieces, source.geometry))) == columns(whole)


@given(source=streams(ordered=False))
def test_a_tally_is_that_of_what_has_been_read(source: Given) -> None:
    tally = Tallied(source)
    for _ in range(2):
        whole = read_all(tally)
        assert tally.events == len(whole)
        assert tally.t_first_us == min(whole.t_us.tolist(), default=None)
        assert tally.t_last_us == max(whole.t_us.tolist(), default=None)
        assert (tally.lost, tally.problems) == (whole.lost, whole.problems)
