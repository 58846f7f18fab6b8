"""What breaks the rules of EVT is counted by kind and named by its byte; good events are kept."""

import numpy as np
import pytest

from retempo.sensors.evt import Coding, evt_decoder
from retempo.sensors.evt.state import PROBLEMS
from retempo.sensors.problems import KINDS
from tests.sensors.evt.streams import (
    base,
    decode,
    eight,
    event2,
    events,
    evt2,
    row,
    single,
    time_high,
    time_low,
    twelve,
    words,
)

HIGH, BACK = 4_096, 1


def evt3(*values: int) -> tuple[list[tuple[int, int, int, bool]], dict[str, int]]:
    """Decode words of EVT3 to its events and the counts of problems."""
    columns = decode("3", words("3", values))
    return events(columns), dict(columns.problems.counts)


def times(*values: int) -> list[int]:
    return [event[0] for event in evt3(*values)[0]]


def ticks(value: int) -> list[int]:
    return [time_high(value)] * 2


def test_every_problem_has_an_explanation() -> None:
    assert set(PROBLEMS) <= set(KINDS)


def test_words_before_the_first_time_are_nothing_unusual() -> None:
    start = [row(7), single(1), base(3), twelve(7), twelve(0), eight(0)]
    seen, counts = evt3(*start, time_high(3), single(5, 1))
    assert (seen, counts) == ([(3 * HIGH, 5, 7, True)], {})


def test_events_without_any_time_are_counted_at_the_end() -> None:
    columns = decode("3", words("3", [row(7), single(1), single(2)]))
    assert columns.problems.counts == {"untimed": 2}
    assert columns.problems.text == "its 2 events have no time, since no TIME_HIGH comes"


def test_a_clock_that_wraps_runs_on() -> None:
    seen = times(row(1), time_high(4_095), time_low(9), single(1), time_high(0), single(2))
    assert seen == [4_095 * HIGH + 9, 4_096 * HIGH]
    # Some words around the wrap may be missing.
    assert times(row(1), time_high(4_093), single(1), time_high(1), single(2))[1] == 4_097 * HIGH


@pytest.mark.parametrize("version", ["2", "2.1"])
def test_the_34_bit_clock_of_evt2_runs_on_through_its_wrap(version: str) -> None:
    values = [evt2(8, 2**28 - 1), event2(1, 63, 5, 6), evt2(8, 0), event2(0, 1, 5, 6)]
    if version == "2.1":
        values = [value << 32 | 1 for value in values]
    columns = decode(version, words(version, values))  # type: ignore[arg-type]
    assert events(columns) == [(2**34 - 1, 5, 6, True), (2**34 + 1, 5, 6, False)]
    assert not columns.problems


def test_the_byte_at_which_a_clock_goes_back_is_named() -> None:
    data = words("3", [row(1), *ticks(9), single(1), time_high(5), single(2), time_high(5)])
    problems = decode("3", data, [5]).problems
    assert problems.counts == {"time_back": 1, "untimed": 1}
    assert problems.text == f"the time goes back from {9 * HIGH} to {5 * HIGH} us at byte 8"
    assert problems.kept == 1
    decoder = evt_decoder(Coding("3"), first_byte=100)
    assert "at byte 108" in decoder.feed(decoder.start(), data)[1].problems.text


def test_a_single_wrong_time_costs_only_the_events_under_it() -> None:
    seen, counts = evt3(
        row(1), *ticks(9), single(1), time_high(5), single(2), time_high(9), single(3)
    )
    assert [(t, x) for t, x, *_ in seen] == [(9 * HIGH, 1), (9 * HIGH, 3)]
    assert counts == {"time_back": 1, "untimed": 1}
    # A wrong time far ahead is no wrap when the clock returns.
    seen, counts = evt3(row(1), *ticks(9), single(1), time_high(3_000), time_high(10), single(3))
    assert [(t, x) for t, x, *_ in seen] == [(9 * HIGH, 1), (10 * HIGH, 3)]
    assert counts == {"time_hole": 1, "time_back": 1}


@pytest.mark.parametrize("confirmed_by", [5, 6])
def test_a_clock_that_was_set_back_is_followed_once_it_is_confirmed(confirmed_by: int) -> None:
    seen, counts = evt3(
        row(1), *ticks(9), single(1), time_high(5), single(2), time_high(confirmed_by), single(3)
    )
    assert [(t, x) for t, x, *_ in seen] == [(9 * HIGH, 1), (confirmed_by * HIGH, 3)]
    assert counts == {"time_back": 1, "untimed": 1}


def test_lower_bits_that_go_back_are_counted_for_each_event() -> None:
    seen, counts = evt3(time_high(1), row(1), time_low(9), single(1), time_low(5), single(2))
    assert [t for t, *_ in seen] == [HIGH + 9, HIGH + 5]
    assert counts == {"time_back": 1}
    assert evt3(time_high(1), row(1), time_low(9), time_low(5), single(2))[1] == {}


def test_a_jump_is_a_hole_where_the_clock_ticks_and_silence_where_it_does_not() -> None:
    jump = [row(1), single(1), time_high(20), single(2)]
    assert evt3(time_high(9), *jump)[1] == {}
    seen, counts = evt3(*ticks(9), *jump)
    assert counts == {"time_hole": 1}
    assert [t for t, *_ in seen] == [9 * HIGH, 20 * HIGH]


def test_vectors_move_their_base_on() -> None:
    whole = [twelve(0x801), twelve(0x001), eight(0x81)]
    seen, counts = evt3(time_high(0), row(2), base(100, 1), *whole, *whole)
    first = [100, 111, 112, 124, 131]
    assert [x for _, x, *_ in seen] == [*first, *(x + 32 for x in first)]
    assert {(y, on) for *_, y, on in seen} == {(2, True)}
    assert counts == {}


@pytest.mark.parametrize(
    ("group", "broken"),
    [
        ([twelve(1), row(3)], 1),
        ([twelve(1), twelve(1), single(9)], 1),
        ([twelve(1), eight(1)], 1),
        ([eight(1)], 1),
        ([twelve(1), twelve(1), twelve(1), twelve(1), eight(1)], 1),
        ([twelve(1), twelve(1), eight(1)], 0),
    ],
)
def test_vectors_that_are_not_whole_are_counted_and_their_events_kept(
    group: list[int], broken: int
) -> None:
    seen, counts = evt3(*ticks(0), row(2), base(100), *group)
    # Each word here has an event, but for rows.
    assert len(seen) == sum(word >= 0x1000 for word in group)
    assert counts == ({"partial_vector": broken} if broken else {})
    # A clock that does not tick is no camera's: writers of files group their vectors as they like.
    assert evt3(time_high(0), row(2), base(100), *group) == (seen, {})


def test_a_stream_that_ends_inside_a_vector_or_a_word_is_truncated() -> None:
    start = [*ticks(0), row(2), base(100), twelve(1)]
    problems = decode("3", words("3", start)).problems
    assert (problems.counts, problems.kept) == ({"truncated": 1}, 1)
    assert not decode("3", words("3", start[1:])).problems
    problems = decode("3", words("3", start[:2]) + b"\1").problems
    assert problems.text == "it ends 1 bytes into a word of 2"
    for version, size in (("2", 4), ("2.1", 8)):
        text = decode(version, bytes(size + 3)).problems.text  # type: ignore[arg-type]
        assert text.startswith("its 1 events") if version == "2" else "ends 3 bytes" in text


def test_counts_of_the_sensor_are_passed_over_and_broken_ones_counted() -> None:
    counts = [0xE014, 0xF001, 0xF002, 0x7003]
    assert evt3(time_high(0), row(1), *counts, single(1))[1] == {}
    for kept in (1, 2, 3):
        assert evt3(time_high(0), *counts[:kept], row(1))[1] == {"partial_continued": 1}
    assert evt3(time_high(0), 0xF001, 0x7003, 0xE0FF, 0xA101)[1] == {}


@pytest.mark.parametrize("kind", [0x1, 0x9, 0xB, 0xC, 0xD])
def test_words_of_unknown_types_are_counted(kind: int) -> None:
    columns = decode("3", words("3", [time_high(0), row(1), kind << 12 | 5, single(1)]))
    assert (len(columns), columns.problems.counts) == (1, {"unknown": 1})
    assert columns.problems.text == f"the word at byte 4 has the unknown type {kind:#x}"


def test_events_without_a_row_and_vectors_without_a_base_are_counted() -> None:
    assert evt3(time_high(0), single(1), single(2)) == ([], {"no_row": 2})
    group = [twelve(3), twelve(0), eight(1)]
    assert evt3(time_high(0), row(1), *group) == ([], {"no_base": 4})


def test_vectors_never_come_round_to_addresses_of_the_sensor() -> None:
    groups = [twelve(1), twelve(1), eight(1)] * 4_000
    seen, counts = evt3(time_high(0), row(1), base(2_040), *groups)
    assert [x for _, x, *_ in seen] == [2_040]
    assert counts == {"outside": 11_999}


@pytest.mark.parametrize("kind", [0x2, 0x7, 0x9, 0xB, 0xC, 0xD])
@pytest.mark.parametrize("version", ["2", "2.1"])
def test_unknown_words_of_evt2_are_counted(version: str, kind: int) -> None:
    values = [evt2(8, 1), evt2(kind, 9), event2(1, 2, 3, 4), evt2(0xA, 0), evt2(0xE, 0)]
    if version == "2.1":
        values = [value << 32 | 1 for value in values]
    columns = decode(version, words(version, values))  # type: ignore[arg-type]
    assert events(columns) == [(66, 3, 4, True)]
    assert columns.problems.counts == {"unknown": 1}


def test_times_of_evt2_that_go_back_are_counted() -> None:
    values = [evt2(8, 9), evt2(8, 9), event2(0, 5, 1, 1), event2(0, 3, 1, 1), evt2(8, 4)]
    values += [event2(0, 5, 2, 2), evt2(8, 4), event2(0, 6, 3, 3)]
    columns = decode("2", words("2", values))
    assert [t for t, *_ in events(columns)] == [9 * 64 + 5, 9 * 64 + 3, 4 * 64 + 6]
    assert columns.problems.counts == {"time_back": 2, "untimed": 1}
    assert columns.problems.text == "the time goes back from 581 to 579 us at byte 12"


def test_a_word_of_evt21_holds_32_pixels() -> None:
    values = [evt2(8, 1) << 32, event2(1, 2, 64, 7) << 32 | 0x8000_0005]
    for order, kind in (("little", "<u8"), ("big", ">u8")):
        decoder = evt_decoder(Coding("2.1", order))  # type: ignore[arg-type]
        data = np.array(values, kind).tobytes()
        seen = events(decoder.feed(decoder.start(), data)[1])  # type: ignore[arg-type]
        assert seen == [(66, x, 7, True) for x in (64, 66, 95)]
    # As in Prophesee's example, 0x0102030405060708 is sent as 04 03 02 01 08 07 06 05.
    legacy = Coding("2.1", "legacy").words(bytes([4, 3, 2, 1, 8, 7, 6, 5]))
    assert legacy.tolist() == [0x0102030405060708]
