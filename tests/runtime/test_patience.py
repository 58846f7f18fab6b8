"""When a sender tries again, and when it gives up: numbers alone."""

from retempo.runtime.patience import BACK_OFF_S, LONGEST_BACK_OFF_S, Patience


def patience(chance: float = 1.0) -> Patience:
    def drawn(low: float, high: float) -> float:
        return low + chance * (high - low)

    return Patience(5.0, 30.0, lost_s=100.0, chance=drawn)


def test_the_time_between_attempts_doubles_up_to_a_bound() -> None:
    one, waits = patience(), []
    for _ in range(8):
        one.lose(200.0)
        waits.append(one.retry_s - 200.0)
    assert [round(wait, 6) for wait in waits] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_chance_takes_up_to_half_of_it() -> None:
    for chance, share in [(0.0, 0.5), (0.5, 0.75)]:
        one = patience(chance)
        one.lose(0.0)
        assert one.retry_s == BACK_OFF_S * share


def test_who_was_never_answered_gives_up_sooner() -> None:
    one = patience()
    one.lose(103.0)
    assert one.ends_s == 105.0
    one.answered = True
    assert one.ends_s == 130.0


def test_a_daemon_that_works_in_between_is_another_loss() -> None:
    one = patience()
    one.answered = True
    for _ in range(10):
        one.lose(110.0)
    assert one.retry_s == 110.0 + LONGEST_BACK_OFF_S
    one.well()
    assert one.ends_s == float("inf")
    one.lose(120.0)
    assert (one.retry_s, one.ends_s) == (120.0 + BACK_OFF_S, 150.0)
