"""The watermark of a live stream: through events, silence, losses and clocks that begin anew."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.columns import Columns, no_events
from retempo.sensors.events import EventChunk
from retempo.sensors.live.device import Arrival
from retempo.sensors.live.progress import LEAP_US, MARGIN_US, RESTART_US, Progress
from retempo.sensors.problems import problem
from tests.sensors.live.arrivals import GRID, came, events, silence


def follow(arrivals: list[Arrival], *, foresees: bool = True) -> list[EventChunk | None]:
    progress = Progress(GRID, "a", foresees=foresees)
    return [progress.take(arrival) for arrival in arrivals]


def ends(chunks: list[EventChunk | None]) -> list[int | None]:
    return [None if chunk is None else chunk.t_end_us for chunk in chunks]


def test_nothing_is_told_before_anything_is_known() -> None:
    assert follow([silence(0), silence(5_000)]) == [None, None]


def test_what_was_wrong_before_the_first_time_is_told_with_it_or_at_the_end() -> None:
    bad = replace(no_events(), problems=problem("malformed", "too short", 0, 7))
    stray = replace(events(5), x=np.array([999], np.uint16))
    progress = Progress(GRID, "s", foresees=False)
    assert progress.take(Arrival(bad, 0.0, lost=3)) is None
    assert progress.take(Arrival(stray, 1.0)) is None
    told = progress.take(came(2.0, 50))
    assert told is not None
    assert (told.problems, told.lost) == ({"malformed": 7, "outside": 1}, 4)
    assert progress.finish() is None
    progress = Progress(GRID, "s", foresees=False)
    assert progress.take(Arrival(bad, 0.0, lost=3)) is None
    untold = progress.finish()
    assert untold is not None
    assert (len(untold), untold.problems, untold.lost) == (0, {"malformed": 7}, 3)


def test_the_watermark_is_the_latest_event() -> None:
    assert ends(follow([came(0, 10, 30, 20), came(1, 30, 40)])) == [30, 40]


def test_a_sensor_that_tells_its_time_needs_no_events() -> None:
    assert ends(follow([silence(0, 7), silence(5, 7), silence(9, 12)], foresees=False)) == [
        7,
        None,
        12,
    ]


def test_silence_advances_with_the_hosts_clock_behind_the_slowest_arrival() -> None:
    """The slower arrival took 400 us: its event of 1,600 came at 2,000."""
    arrivals = [came(1_000, 900), came(2_000, 1_600, 1_950), silence(50_000), silence(60_000)]
    assert ends(follow(arrivals)) == [
        900,
        1_950,
        50_000 - 400 - MARGIN_US,
        60_000 - 400 - MARGIN_US,
    ]


def test_the_time_that_a_packet_reached_tells_how_long_it_took() -> None:
    packet = Arrival(events(100), 2_000, came_us=1_500, reached_us=1_000)
    assert ends(follow([packet, silence(100_000)])) == [1_000, 100_000 - 500 - MARGIN_US]


def test_silence_is_not_foreseen_where_it_is_not_asked_for() -> None:
    assert ends(follow([came(0, 5), silence(1e9)], foresees=False)) == [5, None]


def test_what_was_lost_is_told_without_events() -> None:
    (_, chunk) = follow([came(0, 5), Arrival(events(), 1.0, came_us=1.0, lost=3)], foresees=False)
    assert chunk is not None
    assert (chunk.lost, chunk.t_end_us, len(chunk)) == (3, 5, 0)


def test_a_clock_that_begins_anew_goes_on_from_the_watermark() -> None:
    before = came(0, 5_000_000, 5_000_010)
    chunks = follow([before, came(1, 3, 13), came(2, 23)], foresees=False)
    assert [chunk.t_us.tolist() for chunk in chunks if chunk is not None] == [
        [5_000_000, 5_000_010],
        [5_000_010, 5_000_020],
        [5_000_030],
    ]
    assert [dict(chunk.problems) for chunk in chunks if chunk is not None] == [
        {},
        {"restarted": 1},
        {},
    ]


def test_a_device_that_begins_anew_says_so_though_its_clock_is_ahead() -> None:
    empty = Arrival(events(), 1.0, came_us=1.0, fresh=True)
    chunks = follow([came(0, 100), empty, came(2, 500_000, 500_005)], foresees=False)
    assert chunks[2] is not None
    assert chunks[2].t_us.tolist() == [100, 105]
    assert chunks[2].problems == {"restarted": 1}


def test_datagrams_that_overtake_each_other_keep_their_times() -> None:
    chunks = follow([came(0, 2_000_000), came(1, 2_000_000 - RESTART_US)], foresees=False)
    assert chunks[1] is not None
    assert chunks[1].t_us.tolist() == [2_000_000 - RESTART_US]
    assert (chunks[1].t_end_us, dict(chunks[1].problems)) == (2_000_000, {})


def test_a_leap_moves_time_on_by_nothing() -> None:
    """One damaged timestamp must not make every later event late."""
    chunks = follow([came(0, 100), came(1, 2**60), came(2, 200)], foresees=False)
    assert [chunk.t_us.tolist() for chunk in chunks if chunk is not None] == [[100], [100], [100]]
    within = follow([came(0, 100), came(1, 110, 110 + LEAP_US + 1, 120)], foresees=False)[1]
    assert within is not None
    assert within.t_us.tolist() == [110, 120]
    assert (within.lost, dict(within.problems)) == (1, {"leap": 1})


def test_a_time_reached_that_leaps_behind_the_events_is_not_believed() -> None:
    leaping = Arrival(events(100), 0.0, came_us=0.0, reached_us=101 + LEAP_US)
    assert ends(follow([leaping, came(1, 200)])) == [100, 200]


def test_events_outside_the_sensor_are_left_out_and_counted() -> None:
    columns = Columns(
        np.array([1, 2], np.int64),
        np.array([3, 34], np.uint16),
        np.array([3, 3], np.uint16),
        np.array([True, True]),
    )
    (chunk,) = follow([Arrival(columns, 0.0, came_us=0.0)])
    assert chunk is not None
    assert (chunk.t_us.tolist(), chunk.lost, dict(chunk.problems)) == ([1], 1, {"outside": 1})


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(-5, 2**61), max_size=5),
            st.none() | st.integers(0, 2**61),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=20,
    ),
    st.booleans(),
)
def test_whatever_comes_the_watermark_never_goes_back_and_nothing_is_uncounted(
    script: list[tuple[list[int], int | None, bool, int]], foresees: bool
) -> None:
    arrivals = [
        Arrival(
            events(*times),
            5_000.0 * place,
            came_us=5_000.0 * place if times else None,
            reached_us=reached,
            lost=lost,
            fresh=fresh,
        )
        for place, (times, reached, fresh, lost) in enumerate(script)
    ]
    chunks = [chunk for chunk in follow(arrivals, foresees=foresees) if chunk is not None]
    told = [chunk.t_end_us for chunk in chunks]
    assert told == sorted(told)
    given_events = sum(len(times) for times, *_ in script)
    kept = sum(len(chunk) for chunk in chunks)
    leaps = sum(chunk.problems.get("leap", 0) for chunk in chunks)
    assert given_events == kept + leaps
    if chunks:
        assert sum(lost for *_, lost in script) + leaps == sum(chunk.lost for chunk in chunks)
    for chunk in chunks:
        assert len(chunk) == 0 or chunk.t_us.max() <= chunk.t_end_us
