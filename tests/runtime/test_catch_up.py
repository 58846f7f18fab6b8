"""Which questions a subscriber asks, and when: no socket, a clock by hand."""

import msgspec
import pytest

from retempo.runtime.catch_up import CatchUp
from retempo.runtime.decision import Decision
from retempo.runtime.decisions_out import After
from retempo.runtime.errors import FeedError
from tests.runtime.test_decision_order import decision, ids


def asked(catch_up: CatchUp) -> list[dict[str, object]]:
    return [msgspec.msgpack.decode(topic[14:]) for topic in catch_up.topics]


def answered(catch_up: CatchUp, decisions: list[Decision], end: bytes) -> list[Decision]:
    (topic,) = catch_up.topics
    for one in decisions:
        catch_up.take_answer(topic, one, 0.0)
    return catch_up.end_answer(topic, end, 0.0)


def test_a_gap_is_asked_for_once() -> None:
    catch_up = CatchUp({"a": (1, 4)})
    for sequence in (7, 8):
        assert catch_up.take(decision(1, sequence), 0.0) == []
    assert asked(catch_up) == [{"stream": "a", "epoch": 1, "sequence": 4}]
    due = answered(catch_up, [decision(1, 5), decision(1, 6)], b"end 2")
    assert ids(due) == [(1, 5), (1, 6), (1, 7), (1, 8)]
    assert catch_up.topics == frozenset()


def test_an_answer_that_is_not_all_is_followed_by_another_question() -> None:
    catch_up = CatchUp({"a": (1, 4)})
    catch_up.ask_all(0.0)
    assert ids(answered(catch_up, [decision(1, 5)], b"more 1")) == [(1, 5)]
    assert asked(catch_up) == [{"stream": "a", "epoch": 1, "sequence": 5}]


def test_a_second_without_decisions_is_a_question_and_only_one() -> None:
    catch_up = CatchUp({})
    catch_up.take(decision(1, 0), 10.0)
    assert catch_up.due_s == 11.0
    catch_up.look(10.9)
    assert asked(catch_up) == []
    catch_up.look(11.0)
    assert asked(catch_up) == [{"stream": "a", "epoch": 1, "sequence": 0}]
    answered(catch_up, [], b"end 0")
    catch_up.look(20.0)
    assert asked(catch_up) == []
    assert catch_up.due_s is None


def test_a_stream_that_began_without_a_connection_is_asked_for_whole() -> None:
    catch_up = CatchUp({})
    catch_up.stand([After("a", 1, 5)], 0.0)
    assert asked(catch_up) == []
    catch_up.stand([After("a", 1, 5)], 1.0)
    assert asked(catch_up) == []
    catch_up.stand([After("a", 2, 3), After("b", 3, 0)], 2.0)
    assert sorted(asked(catch_up), key=str) == [
        {"stream": "a", "epoch": 1, "sequence": 5},
        {"stream": "b", "epoch": 0, "sequence": -1},
    ]


def test_what_comes_of_a_stream_that_is_asked_for_whole_waits_for_the_answer() -> None:
    catch_up = CatchUp({})
    catch_up.stand([], 0.0)
    catch_up.stand([After("a", 1, 2)], 0.0)
    assert catch_up.take(decision(1, 3), 0.0) == []
    due = answered(catch_up, [decision(1, sequence) for sequence in range(1, 4)], b"end 3")
    assert ids(due) == [(1, 1), (1, 2), (1, 3)]
    assert catch_up.orders["a"].missed == 0


def test_a_stream_is_followed_from_where_it_stood_at_the_greeting() -> None:
    catch_up = CatchUp({})
    catch_up.stand([After("a", 1, 5)], 0.0)
    assert ids(catch_up.take(decision(1, 6), 0.0)) == [(1, 6)]
    other = CatchUp({})
    other.stand([After("a", 1, 5)], 0.0)
    assert other.take(decision(1, 8), 0.0) == []
    assert asked(other) == [{"stream": "a", "epoch": 1, "sequence": 5}]


def test_without_an_answer_it_goes_on_after_a_while() -> None:
    catch_up = CatchUp({"a": (1, 0)})
    catch_up.take(decision(1, 3), 10.0)
    assert catch_up.look(14.9) == []
    assert ids(catch_up.look(15.0)) == [(1, 3)]
    assert catch_up.orders["a"].missed == 2


def test_an_answer_whose_end_was_lost_is_asked_for_again_behind_what_came() -> None:
    catch_up = CatchUp({"a": (1, 0)})
    catch_up.take(decision(1, 5), 0.0)
    (topic,) = catch_up.topics
    catch_up.take_answer(topic, decision(1, 1), 0.5)
    assert catch_up.look(1.2) == []
    assert ids(catch_up.look(1.5)) == [(1, 1)]
    assert {"stream": "a", "epoch": 1, "sequence": 1} in asked(catch_up)
    assert topic not in catch_up.topics
    assert catch_up.orders["a"].missed == 0


def test_what_is_no_end_of_an_answer_is_an_error() -> None:
    catch_up = CatchUp({"a": (1, 0)})
    catch_up.ask_all(0.0)
    with pytest.raises(FeedError, match="an answer ends with"):
        answered(catch_up, [], b"end soon")
