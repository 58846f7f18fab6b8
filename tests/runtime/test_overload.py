"""How far a stream is behind its sensor, and when it takes another time step."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.overload import Delay, Overload, Rung, govern

COARSEN = Overload("coarsen", behind_us=20_000, calm_us=1_000_000)


def test_a_delay_is_what_comes_on_top_of_the_least_seen() -> None:
    delay = Delay()
    for k in range(5):
        assert delay.stepped(7e6 + 1_000 * k, 1_000 * k) < 1.0
    assert delay.behind_us(7e6 + 30_000, 10_000) == 20_000.0
    assert abs(delay.stepped(7e6 + 55_000, 5_000) - 50_000) < 10


def test_who_sends_faster_than_its_sensor_is_never_behind() -> None:
    delay = Delay()
    assert all(delay.stepped(100.0 * k, 1_000 * k) == 0.0 for k in range(100))


@given(drift=st.floats(-5e-5, 5e-5), hours=st.integers(1, 24))
def test_a_clock_that_drifts_is_no_delay(drift: float, hours: int) -> None:
    """As crystals do: up to 50 parts in a million."""
    delay = Delay()
    for k in range(hours * 360):
        t_us = k * 10_000_000
        assert delay.stepped(5e6 + t_us * (1.0 + drift), t_us) < 1_100


def run(times: "list[tuple[float, float, float]]", highest: int = 3) -> list[int]:
    rung, indices = Rung(), []
    for now_us, behind_us, busy in times:
        rung = govern(rung, COARSEN, highest, now_us, behind_us, busy)
        indices.append(rung.index)
    return indices


def test_a_stream_climbs_only_while_that_does_not_help() -> None:
    falling_back = [(k * 10_000.0, 15_000.0 + 15_000 * k, 1.0) for k in range(6)]
    assert run(falling_back) == [0, 0, 1, 1, 2, 2]
    catching_up = [(0.0, 30_000.0, 1.0), (10_000.0, 28_000.0, 1.0), (90_000.0, 22_000.0, 1.0)]
    assert run(catching_up) == [0, 1, 1]
    assert run([*catching_up, (111_000.0, 21_000.0, 1.0)])[-1] == 2
    assert max(run([(k * 2e5, 1e6, 1.0) for k in range(20)], highest=2)) == 2


def test_a_burst_that_is_soon_worked_off_changes_nothing() -> None:
    burst = [(1_000.0 * k, 60_000.0 - 6_000 * k, 1.0) for k in range(10)]
    assert set(run(burst)) == {0}


def test_it_steps_down_after_a_calm_that_leaves_room() -> None:
    climbed = [(-1e4, 30_000.0, 1.0), (0.0, 30_000.0, 1.0)]
    calm = [(1e6 + 1e5 * k, 0.0, 0.3) for k in range(11)]
    assert run(climbed + calm)[-1] == 0
    assert run(climbed + calm[:-1])[-1] == 1
    assert run(climbed + [(t, b, 0.6) for t, b, _ in calm])[-1] == 1
    disturbed = [*calm[:5], (1.55e6, 15_000.0, 0.3), *calm[5:]]
    assert run(climbed + disturbed)[-1] == 1


def test_a_step_down_that_is_regretted_doubles_the_patience() -> None:
    rung = Rung()
    for at_us in (-1e4, 0.0):
        rung = govern(rung, COARSEN, 3, at_us, 30_000.0, 1.0)
    now_us, calms = 0.0, []
    for _ in range(8):
        began_us = now_us
        while rung.index:
            now_us += 50_000.0
            rung = govern(rung, COARSEN, 3, now_us, 0.0, 0.2)
        calms.append(now_us - began_us)
        for _ in range(2):
            now_us += 50_000.0
            rung = govern(rung, COARSEN, 3, now_us, 30_000.0, 1.0)
    assert calms[0] < 1.2e6
    assert all(later > 1.7 * earlier for earlier, later in pairwise(calms[:6]))
    assert calms[-1] < 61e6


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1)), max_size=40))
def test_a_stream_moves_one_rung_at_a_time_and_stays_on_its_ladder(
    times: list[tuple[float, float, float]],
) -> None:
    now_us, moments = 0.0, []
    for later_us, behind_us, busy in times:
        now_us += later_us
        moments.append((now_us, behind_us, busy))
    indices = [0, *run(moments)]
    assert all(0 <= k <= 3 for k in indices)
    assert all(abs(b - a) <= 1 for a, b in pairwise(indices))
