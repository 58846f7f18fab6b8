"""Each decision once and in order, or counted: one stream, whatever is dropped or repeated."""

from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.decision import Decision
from retempo.runtime.decision_order import DecisionOrder


def decision(epoch: int, sequence: int, *, final: bool = False) -> Decision:
    return Decision(
        stream="a",
        epoch=epoch,
        sequence=sequence,
        t_us=0,
        label="",
        scores=[],
        dt_us=1,
        latency_us=0.0,
        step_us=0.0,
        counters={},
        final=final,
    )


def ids(decisions: list[Decision]) -> list[tuple[int, int]]:
    return [(d.epoch, d.sequence) for d in decisions]


def test_what_comes_in_order_is_handed_on_at_once_and_a_duplicate_is_not() -> None:
    order = DecisionOrder()
    assert ids(order.take(decision(1, 5))) == [(1, 5)]
    assert ids(order.take(decision(1, 6))) == [(1, 6)]
    assert ids(order.take(decision(1, 5)) + order.take(decision(1, 6))) == []
    assert (order.missed, order.asking) == (0, False)


def test_a_gap_waits_for_the_answer_and_is_filled() -> None:
    order = DecisionOrder((1, 0))
    assert order.take(decision(1, 3)) == []
    assert order.asking
    assert order.take(decision(1, 4)) == []
    answer = [decision(1, k) for k in (1, 2, 3)]
    assert ids(order.take_answer(answer, 3)) == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert (order.missed, order.asking) == (0, False)


def test_what_the_history_no_longer_has_is_counted() -> None:
    order = DecisionOrder((1, 0))
    order.take(decision(1, 9))
    assert ids(order.take_answer([decision(1, 7), decision(1, 8)], 2)) == [(1, 7), (1, 8), (1, 9)]
    assert (order.missed, order.asking) == (6, False)


def test_an_answer_of_which_a_part_was_lost_is_asked_for_again() -> None:
    order = DecisionOrder((1, 0))
    order.take(decision(1, 5))
    assert ids(order.take_answer([decision(1, 1), decision(1, 3)], 4)) == [(1, 1)]
    assert (order.missed, order.asking) == (0, True)
    answer = [decision(1, k) for k in (2, 3, 4, 5)]
    assert ids(order.take_answer(answer, 4)) == [(1, k) for k in (2, 3, 4, 5)]
    assert (order.missed, order.asking) == (0, False)


def test_what_goes_missing_after_it_was_asked_is_asked_for_again() -> None:
    order = DecisionOrder((1, 0))
    order.take(decision(1, 2))
    order.take(decision(1, 4))
    assert ids(order.take_answer([decision(1, 1), decision(1, 2)], 2)) == [(1, 1), (1, 2)]
    assert (order.missed, order.asking) == (0, True)
    assert ids(order.take_answer([decision(1, 3)], 1)) == [(1, 3), (1, 4)]
    assert (order.missed, order.asking) == (0, False)


def test_an_answer_with_more_to_come_is_followed_by_the_next() -> None:
    order = DecisionOrder((1, 0))
    order.take(decision(1, 4))
    assert ids(order.take_answer([decision(1, 1)], 1, more=True)) == [(1, 1)]
    assert order.asking
    assert order.missed == 0


def test_another_run_waits_until_it_is_known_what_is_missing() -> None:
    order = DecisionOrder((1, 0))
    assert order.take(decision(2, 0)) == []
    answer = [decision(1, 1), decision(1, 2, final=True), decision(2, 0)]
    assert ids(order.take_answer(answer, 3)) == [(1, 1), (1, 2), (2, 0)]
    assert ids(order.take(decision(1, 2, final=True))) == []
    assert (order.missed, order.asking) == (0, False)


def test_a_daemon_that_knows_no_epochs_begins_each_run_with_0() -> None:
    order = DecisionOrder()
    for _ in range(2):
        assert ids(order.take(decision(0, 0))) == [(0, 0)]
        assert ids(order.take(decision(0, 1, final=True))) == [(0, 1)]
    assert ids(order.take(decision(0, 2))) == []
    assert ids(order.settle()) == [(0, 2)]
    assert order.missed == 2


@given(
    runs=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    fates=st.lists(st.sampled_from(["once", "twice", "never"]), max_size=48),
    answers=st.lists(st.integers(0, 3), max_size=60),
)
def test_with_a_whole_history_each_comes_once_and_in_order(
    runs: list[int], fates: list[str], answers: list[int]
) -> None:
    """Answers come late, and some of their decisions are lost on the way."""
    made = [decision(e, k, final=k == n - 1) for e, n in enumerate(runs, 1) for k in range(n)]
    order, had = DecisionOrder((1, -1)), list[Decision]()
    losses = iter(answers)

    def answer(until: int) -> None:
        assert order.last is not None
        place = 0 if order.last == (1, -1) else ids(made).index(order.last) + 1
        whole = made[place:until]
        kept = whole[next(losses, 0) :]
        had.extend(order.take_answer(kept, len(whole)))

    for place, one in enumerate(made):
        for _ in range({"once": 1, "twice": 2, "never": 0}[(fates[place:] or ["once"])[0]]):
            had += order.take(one)
        if order.asking and place % 3 == 0:
            answer(place + 1)
    order.asking = True
    while order.asking:
        answer(len(made))
    assert ids(had) == ids(made)
    assert order.missed == 0
