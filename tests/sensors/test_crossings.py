"""The simulated pixels' kernels: equal to their plain twins, and right in time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.simulated.crossings import (
    Moving,
    find_crossings,
    find_crossings_plainly,
    outlasting_refractory,
    outlasting_refractory_plainly,
)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    frames=st.integers(1, 8),
    step_us=st.integers(1, 3_000),
)
@settings(max_examples=60, deadline=None)
def test_the_crossing_kernel_equals_its_plain_twin_to_the_last_bit(
    seed: int, shape: tuple[int, int], frames: int, step_us: int
) -> None:
    rng = np.random.default_rng(seed)
    scene = rng.normal(0, 1, (shape[0] + 4, shape[1] + 4))
    moving = Moving(
        log_scene=scene,
        path_x=rng.uniform(0, 3, frames),
        path_y=rng.uniform(0, 3, frames),
        step_us=step_us,
        on_threshold=rng.uniform(0.05, 0.5, shape),
        off_threshold=rng.uniform(0.05, 0.5, shape),
        level=rng.normal(0, 0.5, shape),
    )
    kernel, plain = find_crossings(moving), find_crossings_plainly(moving)
    for ours, theirs in zip(kernel, plain, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()


def test_the_kernel_makes_room_for_more_crossings_than_it_expected() -> None:
    scene = np.zeros((12, 12))
    scene[:, ::2] = 5.0
    moving = Moving(
        log_scene=scene,
        path_x=np.array([0.0, 1.0] * 5),
        path_y=np.zeros(10),
        step_us=1_000,
        on_threshold=np.full((10, 10), 0.05),
        off_threshold=np.full((10, 10), 0.05),
        level=np.full((10, 10), 2.5),
    )
    kernel, plain = find_crossings(moving), find_crossings_plainly(moving)
    assert len(kernel.t_us) > 8_192
    assert kernel.t_us.tolist() == plain.t_us.tolist()
    assert kernel.pixel.tolist() == plain.pixel.tolist()


def test_a_crossing_is_timed_where_the_straight_line_between_two_frames_meets_the_level() -> None:
    scene = np.zeros((2, 3))
    scene[:, 1] = 1.0
    one = np.ones((1, 1))
    moving = Moving(scene, np.array([0.0, 1.0]), np.zeros(2), 1_000, 0.3 * one, one, 0.0 * one)
    found = find_crossings(moving)
    assert found.t_us.tolist() == [300, 600, 899]  # 3 * 0.3 lies just below 0.9
    assert found.on.tolist() == [True, True, True]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), max_size=60), st.integers(0, 50))
def test_the_refractory_kernel_equals_its_plain_twin(
    events: list[tuple[int, int]], refractory_us: int
) -> None:
    events = sorted(events)
    t_us = np.array([t for t, _ in events], np.int64)
    pixel = np.array([p for _, p in events], np.int64)
    kept = outlasting_refractory(t_us, pixel, 4, refractory_us)
    assert kept.tolist() == outlasting_refractory_plainly(t_us, pixel, refractory_us).tolist()
