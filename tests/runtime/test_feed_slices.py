from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.slices import LONGEST_SILENCE_US, slices
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import no_events
from tests.runtime.stand_in import GRID, events


@st.composite
def streams(draw: st.DrawFn) -> list[EventChunk]:
    """Streams whose watermarks are honest, with disorder inside the chunks."""
    chunks, floor_us = [], draw(st.integers(-1_000, 1_000))
    for _ in range(draw(st.integers(0, 5))):
        times = draw(st.lists(st.integers(floor_us, floor_us + 3_000), max_size=12))
        floor_us += draw(st.integers(0, 3_000))
        chunk = events(times, floor_us) if times else no_events(GRID, floor_us)
        chunks.append(
            EventChunk(
                chunk.t_us, chunk.t_end_us, chunk.x, chunk.y, chunk.on, lost=draw(st.integers(0, 3))
            )
        )
    return chunks


@given(streams(), st.integers(1, 700))
def test_slices_change_nothing_but_the_cuts(stream: list[EventChunk], slice_us: int) -> None:
    cut = [due.chunk for due in slices(stream, slice_us)]
    for name in ("t_us", "x", "y", "on"):
        whole = np.concatenate([getattr(c, name) for c in [*stream, no_events(GRID, 0)]])
        parts = np.concatenate([getattr(c, name) for c in [*cut, no_events(GRID, 0)]])
        assert np.array_equal(whole, parts)
    assert sum(c.lost for c in cut) == sum(c.lost for c in stream)


@given(streams(), st.integers(1, 700))
def test_watermarks_hold_and_never_tell_the_future(stream: list[EventChunk], slice_us: int) -> None:
    cut = list(slices(stream, slice_us))
    for position, due in enumerate(cut):
        assert due.chunk.t_end_us <= due.due_us
        later = [t for after in cut[position + 1 :] for t in after.chunk.t_us]
        assert all(due.chunk.t_end_us <= t_us for t_us in later)
    told = [due.chunk.t_end_us for due in cut]
    assert told == sorted(told)
    if any(len(chunk) for chunk in stream):
        assert told[-1] == max(min(stream[0].t_end_us, stream[0].t_us.min(initial=told[-1])),
                               *(chunk.t_end_us for chunk in stream))  # fmt: skip


def test_silence_is_told_at_every_slice() -> None:
    cut = list(slices([events([0, 100]), events([5_500], t_end_us=8_200)], 1_000))
    assert [(d.due_us, d.chunk.t_end_us, len(d.chunk)) for d in cut] == [
        (1_000, 100, 2),
        (1_000, 1_000, 0),
        (2_000, 2_000, 0),
        (3_000, 3_000, 0),
        (4_000, 4_000, 0),
        (5_000, 5_000, 0),
        (6_000, 6_000, 1),
        (7_000, 7_000, 0),
        (8_000, 8_000, 0),
        (8_200, 8_200, 0),
    ]


def test_ten_minutes_of_silence_are_told_slice_by_slice_and_an_hour_is_a_jump() -> None:
    told = list(slices([events([0]), events([LONGEST_SILENCE_US])], 1_000_000))
    assert len(told) == 602
    hour_us = 3_600_000_000
    cut = list(slices([events([0]), events([hour_us, hour_us + 5]), no_events(GRID, 9**12)], 1_000))
    assert [(d.due_us, d.chunk.t_end_us, len(d.chunk)) for d in cut] == [
        (1_000, 0, 1),
        (1_000, 1_000, 0),
        (hour_us + 1_000, hour_us + 5, 2),
        (hour_us + 1_000, hour_us + 1_000, 0),
        (9**12, 9**12, 0),
    ]


@pytest.mark.parametrize("chunks", [[], [no_events(GRID, 5)]])
def test_a_stream_without_events_has_no_slices(chunks: list[EventChunk]) -> None:
    assert list(slices(chunks, 1_000)) == []


HOUR_US = 3_600_000_000


def test_a_corrupt_time_moves_nothing_but_its_own_event() -> None:
    """One event, or a few, hours ahead of those around it; also as the last of its chunk."""
    times = [*range(0, 2_000, 100), HOUR_US, HOUR_US + 7, *range(2_000, 5_000, 100), 9 * HOUR_US]
    chunks = [events(times, 9 * HOUR_US), events(list(range(5_000, 8_000, 100)), 8_000)]
    cut = list(slices(chunks, 1_000))
    assert [d.due_us for d in cut if len(d.chunk)] == [k * 1_000 for k in range(1, 9)]
    assert max(d.chunk.t_end_us for d in cut) == 8_000
    assert [t for d in cut for t in d.chunk.t_us] == [t for c in chunks for t in c.t_us]


@given(
    st.lists(st.sampled_from([0, 5, 700, HOUR_US, 9 * HOUR_US, -HOUR_US]), max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_times_that_leap_at_random_lose_no_event_and_no_order(
    steps: list[int], cuts: list[int]
) -> None:
    times = [10 * k + step for k, step in enumerate(steps)]
    edges = sorted({0, len(times), *(edge for edge in cuts if edge <= len(times))})
    chunks = [events(times[a:b], times[b - 1]) for a, b in pairwise(edges)]
    cut = list(slices(chunks, 1_000))
    assert [t for d in cut for t in d.chunk.t_us] == times
    told = [d.chunk.t_end_us for d in cut]
    assert told == sorted(told)
    assert len(cut) < 100 + 2 * LONGEST_SILENCE_US // 1_000
