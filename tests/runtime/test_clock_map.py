"""Offset and drift between two clocks, seen through delays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.runtime.clock_map import BUCKETS, ClockMap

# What is promised of a minute at 200 messages a second.
DRIFT_PPM, OFFSET_US = 10.0, 300.0


def mapped(sensor_us: np.ndarray, arrived_us: np.ndarray) -> ClockMap:
    clock = ClockMap()
    for sensor, arrived in zip(sensor_us.tolist(), arrived_us.tolist(), strict=True):
        clock.observe(sensor, arrived)
    return clock


def test_before_the_first_message_nothing_is_known() -> None:
    clock = ClockMap()
    assert (clock.offset_us, clock.drift_ppm) == (None, None)
    clock.observe(5_000, 7_500.0)
    assert (clock.offset_us, clock.drift_ppm) == (2_500.0, None)


def test_clocks_without_delay_are_found_exactly() -> None:
    sensor_us = np.arange(0, 20_000_000, 5_000)
    clock = mapped(sensor_us, sensor_us * 1.0001 + 1e6)
    assert clock.drift_ppm == pytest.approx(100.0, abs=1e-3)
    assert clock.offset_us == pytest.approx(1e6 + sensor_us[-1] * 1e-4, abs=1e-2)


@settings(max_examples=30, deadline=None)
@given(
    drift_ppm=st.floats(-200, 200),
    offset_us=st.floats(-1e12, 1e12),
    tail=st.floats(1.1, 3.0),
    scale_us=st.floats(1.0, 500.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_drift_is_found_through_delays_with_a_heavy_tail(
    drift_ppm: float, offset_us: float, tail: float, scale_us: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sensor_us = np.arange(0, 60_000_000, 5_000)
    delay_us = scale_us * rng.pareto(tail, len(sensor_us))
    clock = mapped(sensor_us, sensor_us * (1 + drift_ppm * 1e-6) + offset_us + delay_us)
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=DRIFT_PPM)
    true_us = offset_us + drift_ppm * 1e-6 * sensor_us[-1]
    assert clock.offset_us == pytest.approx(true_us, rel=0, abs=OFFSET_US)


def test_an_outage_whose_messages_come_late_all_at_once_moves_nothing() -> None:
    sensor_us = np.arange(0, 60_000_000, 5_000)
    arrived_us = sensor_us + 1_000.0
    out = (sensor_us > 20_000_000) & (sensor_us < 30_000_000)
    arrived_us[out] = 30_001_000.0
    clock = mapped(sensor_us, arrived_us)
    assert clock.drift_ppm == pytest.approx(0.0, abs=1e-6)
    assert clock.offset_us == pytest.approx(1_000.0)


def test_a_clock_whose_drift_changes_is_followed_and_memory_is_bounded() -> None:
    sensor_us = np.arange(0, 2 * BUCKETS * 1_000_000, 100_000)
    turn_us = BUCKETS * 1_000_000
    arrived_us = sensor_us + np.where(sensor_us > turn_us, (sensor_us - turn_us) * 5e-5, 0.0)
    clock = mapped(sensor_us, arrived_us)
    assert clock.drift_ppm == pytest.approx(50.0, abs=0.5)
    assert len(clock._points) == BUCKETS


def test_times_that_fall_back_are_left_out() -> None:
    clock = ClockMap()
    for sensor, arrived in [(5_000_000, 5e6), (1_000, 6e6), (6_000_000, 6e6)]:
        clock.observe(sensor, arrived)
    assert clock.drift_ppm is not None
    assert math.isclose(clock.drift_ppm, 0.0, abs_tol=1e-9)
