"""A recording at its own pace: what is waited for, and what is not."""

import numpy as np
import pytest

from retempo.runtime.pacing import paced
from retempo.runtime.slices import LONGEST_SILENCE_US
from tests.runtime.stand_in import events
from tests.runtime.test_publisher import FakeTime

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_a_long_honest_pause_is_waited_for(speed: float) -> None:
    time, leaps = FakeTime(), list[int]()
    chunks = [events([0]), events([LONGEST_SILENCE_US])]
    for _ in paced(chunks, speed, clock=time.clock, sleep=time.sleep, on_leap=leaps.append):
        pass
    assert sum(time.slept_s) == pytest.approx(LONGEST_SILENCE_US / 1e6 / speed, abs=0.1)
    assert leaps == []


def test_a_leap_of_hours_is_not_waited_for_and_told() -> None:
    time, leaps = FakeTime(), list[int]()
    before = [events(list(range(0, 100_000, 1_000)), 100_000)]
    times = HOUR_US + np.arange(0, 100_000, 1_000)
    behind = [events(times.tolist()), events((2 * times).tolist())]
    handed = [
        (time.now_s, chunk)
        for chunk in paced(
            [*before, *behind], 1.0, clock=time.clock, sleep=time.sleep, on_leap=leaps.append
        )
    ]
    # Before and behind each leap events go at their own pace: 0.1 s, 0.1 s and 0.2 s.
    assert sum(time.slept_s) == pytest.approx(0.4, abs=0.02)
    assert leaps == pytest.approx([HOUR_US, HOUR_US], abs=200_000)
    got = [t for _, chunk in handed for t in chunk.t_us]
    assert got == [t for chunk in (*before, *behind) for t in chunk.t_us]


def test_a_corrupt_time_hours_ahead_is_not_waited_for_and_the_pace_goes_on_behind_it() -> None:
    time, leaps = FakeTime(), list[int]()
    times = list(range(0, MINUTE_US // 60, 1_000))
    times[300] = 3 * HOUR_US
    sent = {
        int(t): time.now_s - 50.0
        for chunk in paced(
            [events(times)], 1.0, clock=time.clock, sleep=time.sleep, on_leap=leaps.append
        )
        for t in chunk.t_us
    }
    assert leaps == []
    assert all(sent[t] == pytest.approx(t / 1e6, abs=0.002) for t in times if t < HOUR_US)
    assert sent[3 * HOUR_US] == pytest.approx(0.3, abs=0.002)
