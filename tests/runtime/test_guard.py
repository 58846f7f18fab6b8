"""Which times a guard believes, held against its plain twin and against a sorted stream."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retempo.runtime.guard import (
    PERIODS_US,
    Admitted,
    Backward,
    Guard,
    GuardRules,
    Jump,
    Refuted,
    Wrap,
)
from retempo.runtime.guard_kernel import LATEST_US
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry
from retempo.sensors.wire import Cursor, decode, encode_message
from tests.runtime.plain_guard import Judged, plain_guard

GRID_US = 1_000
SMALL = GuardRules(back_us=100, ahead_us=1_000, confirm=3)
HOUR_US = 3_600_000_000


def chunk_of(times_us: Sequence[int], first: int = 0, t_end_us: int | None = None) -> EventChunk:
    """Events that carry their place in the stream as their channel."""
    t_us = np.array(times_us, np.int64)
    end_us = int(t_us.max(initial=-LATEST_US)) if t_end_us is None else t_end_us
    channel = np.arange(first, first + len(t_us)).astype(np.uint16)
    return EventChunk(t_us, end_us, channel=channel)


def cut(times_us: Sequence[int], places: Sequence[int]) -> list[EventChunk]:
    """Chunks whose watermark is the latest time so far, as many sources have it."""
    edges = [0, *sorted(min(place, len(times_us)) for place in places), len(times_us)]
    return [
        chunk_of(times_us[a:b], a, max(times_us[:b], default=-LATEST_US))
        for a, b in pairwise(edges)
    ]


def gather(parts: Sequence[Admitted], into: Judged) -> None:
    for part in parts:
        match part:
            case EventChunk():
                assert part.channel is not None
                into.admitted.update(zip(part.channel.tolist(), part.t_us.tolist(), strict=True))
            case Jump():
                into.jumps.append((part.to_us, part.by_us))
            case Refuted():
                into.late += part.late
                into.invalid += part.invalid


def guarded(chunks: Sequence[EventChunk], rules: GuardRules, *, resumed: bool = False) -> Judged:
    """Run a stream through a guard; `resumed` saves it and starts another behind each chunk."""
    judged, guard, came = Judged(), Guard(rules, GRID_US), 0
    for chunk in chunks:
        gather(guard.admit(chunk), judged)
        if resumed:
            saved = guard.save()
            guard = Guard(rules, GRID_US)
            guard.load(saved)
        came += len(chunk)
        held = len(cast("Any", guard.save().get("t_us", ())))
        assert held < rules.confirm
        assert came == len(judged.admitted) + judged.late + judged.invalid + held
    gather([guard.end()], judged)
    return judged


near = st.integers(-150, 200)
leap = st.sampled_from([-HOUR_US, -5_000, -1_200, -101, 1_001, 1_500, 9_000, HOUR_US])
moves = st.lists(st.one_of(near, near, near, near, leap), max_size=60)
places = st.lists(st.integers(0, 60), max_size=8)
rules = st.builds(
    replace,
    st.just(SMALL),
    confirm=st.integers(1, 4),
    backward=st.sampled_from(["carry_on", "reset", "late"]),
    forward=st.sampled_from(["gap", "reset", "step"]),
)


def times_of(moves: Sequence[int], start_us: int = 5_000) -> list[int]:
    return [start_us + int(t) for t in np.cumsum(moves, dtype=np.int64)]


@given(moves=moves, places=places, rules=rules, resumed=st.booleans(), alone=st.booleans())
def test_a_guard_judges_as_its_plain_twin_however_the_stream_is_cut(
    moves: list[int], places: list[int], rules: GuardRules, resumed: bool, alone: bool
) -> None:
    """`alone`: times are drawn about a fixed instant, so that what is odd stands alone."""
    times_us = [5_000 + move for move in moves] if alone else times_of(moves)
    judged = guarded(cut(times_us, places), rules, resumed=resumed)
    assert judged == plain_guard(times_us, rules, GRID_US)


@given(
    wrap=st.sampled_from(["24bit", "31bit", "32bit"]),
    shares=st.lists(st.floats(-0.001, 0.5), max_size=40),
    places=places,
    start=st.floats(0, 1),
)
def test_a_counter_that_wraps_is_the_counter_that_does_not(
    wrap: Wrap, shares: list[float], places: list[int], start: float
) -> None:
    period_us = PERIODS_US[wrap]
    rules = GuardRules(back_us=period_us // 4, ahead_us=2 * period_us, wrap=wrap)
    first_us = int(start * (period_us - 1))
    steps_us = [first_us, *(int(share * period_us) for share in shares)]
    times_us = np.maximum(np.cumsum(steps_us), first_us).tolist()
    judged = guarded(cut([t % period_us for t in times_us], places), rules)
    assert judged == Judged(admitted=dict(enumerate(times_us)))


def test_silence_goes_on_through_a_wrap() -> None:
    guard = Guard(replace(SMALL, ahead_us=5_000, wrap="24bit"), GRID_US)
    guard.admit(chunk_of([(1 << 24) - 1_000]))
    assert watermarks(guard, [(1 << 24) - 10, 2_000]) == [(1 << 24) - 10, (1 << 24) + 2_000]
    guard.admit(chunk_of([2_100]))
    assert watermarks(guard, [1_900, 2_100]) == [(1 << 24) + 2_100] * 2


@given(wrap=st.sampled_from(list(PERIODS_US)), times=st.lists(st.integers(-(2**61), 2**61)))
@settings(max_examples=300)
@example(wrap="24bit", times=[-(2**61) + 99, -1])
def test_no_time_leaves_the_numbers(wrap: Wrap, times: list[int]) -> None:
    """Each drawn time comes three times over, so that it is believed."""
    rules = replace(SMALL, wrap=wrap, confirm=2)
    times = [t for t in times for _ in range(3)]
    judged = guarded([chunk_of([t], k, t) for k, t in enumerate(times)], rules)
    # What is a little late may lie behind the first of all times.
    earliest_us = -LATEST_US - SMALL.back_us
    assert all(earliest_us <= t <= LATEST_US for t in judged.admitted.values())
    marks = np.maximum.accumulate([judged.admitted[k] for k in sorted(judged.admitted)] or [0])
    back_us = [marks[i] - judged.admitted[k] for i, k in enumerate(sorted(judged.admitted))]
    assert max(back_us, default=0) <= SMALL.back_us


def test_what_is_plain_passes_as_it_is() -> None:
    guard, chunk = Guard(SMALL, GRID_US), chunk_of([5_000, 5_050, 5_020], t_end_us=5_040)
    assert guard.admit(chunk) == (chunk,)


@pytest.mark.parametrize("odd_us", [HOUR_US, -HOUR_US, LATEST_US])
def test_a_single_corrupt_time_moves_nothing(odd_us: int) -> None:
    times_us = [*range(5_000, 5_900, 50), odd_us, *range(5_900, 6_500, 50)]
    judged = guarded([chunk_of(times_us)], SMALL)
    place = times_us.index(odd_us)
    assert judged.admitted == {k: t for k, t in enumerate(times_us) if k != place}
    assert (judged.late, judged.invalid) == ((1, 0) if odd_us < 0 else (0, 1))


def watermarks(guard: Guard, ends_us: Sequence[int]) -> list[Any]:
    """What a guard makes of silence: the watermark of each message, or the jump it is."""
    made: list[Any] = []
    for end_us in ends_us:
        parts = guard.admit(chunk_of([], t_end_us=end_us))
        jumps = [part for part in parts if isinstance(part, Jump)]
        (chunk,) = (part for part in parts if isinstance(part, EventChunk))
        made.append((jumps[0].by_us, chunk.t_end_us) if jumps else chunk.t_end_us)
    return made


def test_a_watermark_that_leaps_is_believed_when_a_later_one_agrees() -> None:
    guard = Guard(SMALL, GRID_US)
    assert watermarks(guard, [7, 7_000]) == [7, 7_000]
    guard.admit(chunk_of([5_000]))
    assert watermarks(guard, [5_500, 6_500, 5_000]) == [5_500, 6_500, 5_000]
    assert watermarks(guard, [HOUR_US, HOUR_US, HOUR_US]) == [6_500] * 3
    assert watermarks(guard, [HOUR_US + 900]) == [(HOUR_US + 900 - 6_500, HOUR_US + 900)]
    guard.admit(chunk_of([HOUR_US + 1_000]))
    assert watermarks(guard, [2 * HOUR_US]) == [HOUR_US + 1_000]
    guard.admit(chunk_of([HOUR_US + 1_001]))
    assert watermarks(guard, [2 * HOUR_US + 1]) == [HOUR_US + 1_001]


def test_few_events_behind_a_leap_are_believed_with_its_watermarks() -> None:
    guard, judged = Guard(SMALL, GRID_US), Judged()
    gather(guard.admit(chunk_of([5_000])), judged)
    gather(guard.admit(chunk_of([HOUR_US], 1)), judged)
    assert watermarks(guard, [HOUR_US, HOUR_US + 100]) == [5_000, 5_000]
    assert judged.admitted == {0: 5_000}
    gather(guard.admit(chunk_of([], t_end_us=HOUR_US + 200)), judged)
    assert judged.admitted == {0: 5_000, 1: HOUR_US}
    assert judged.jumps == [(HOUR_US, HOUR_US - 5_000)]


def test_a_watermark_that_only_grows_does_not_move_a_clock_that_was_set_back() -> None:
    """Many sources tell the latest time that they have ever seen."""
    times_us = [*range(9_000, 9_900, 50), *range(8_000, 9_500, 50)]
    for size in (1, 5, 18, 40):
        judged = guarded(cut(times_us, range(size, 60, size)), replace(SMALL, ahead_us=5_000))
        assert [by_us for _, by_us in judged.jumps] == [8_000 - 9_850]
        assert not judged.late
        assert not judged.invalid


@pytest.mark.parametrize("backward", ["carry_on", "reset"])
def test_an_epoch_begins_with_a_bin_and_goes_on_behind_the_watermark(backward: Backward) -> None:
    times_us = [9_000, 9_050, 10, 5, 20, 60]
    judged = guarded([chunk_of(times_us)], replace(SMALL, backward=backward))
    assert list(judged.admitted.values()) == [9_000, 9_050, 10_000, 9_995, 10_010, 10_050]


def test_a_watermark_is_told_in_the_streams_own_time() -> None:
    guard = Guard(SMALL, GRID_US)
    assert guard.told_us(123) == 123
    guard.admit(chunk_of([9_000, 9_050, 10, 5, 20, 60]))
    assert [guard.told_us(t) for t in (70, 20, HOUR_US, 9_050)] == [10_060, 10_010, 10_050, 10_050]
    assert guard.pass_over(500) == 10_490
    assert guard.told_us(300) == 10_490


@given(moves=st.lists(st.integers(-150, 1_200), max_size=20), places=places)
def test_messages_are_judged_unread_as_their_columns_are(
    moves: list[int], places: list[int]
) -> None:
    times_us = times_of(moves)
    at, unread = Cursor("s", ChannelGeometry(100), 1), []
    chunks = cut(times_us, places)
    for chunk in chunks:
        message = decode([bytes(frame) for frame in encode_message("events", chunk, at)])
        assert message.chunk.packet is not None
        unread.append(message.chunk)
    assert guarded(unread, SMALL) == guarded(chunks, SMALL)
