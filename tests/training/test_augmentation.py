"""Each augmentation varies what it says, by no more than it says, and by something."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.training.augmentation import augment
from retempo.training.config import AugmentConfig
from tests.builders import make_chunk

# So wide that rounding to a pixel is a thousandth of the radius.
GRID = GridGeometry(4_001, 4_001)
CENTRE, RADIUS, DT_US = 2_000, 1_000, 5_000
ROUNDING = 1.5 / RADIUS
SEEDS = range(20)
Points = NDArray[np.float64]


def moved(config: AugmentConfig, seed: int) -> Points:
    """Where `(1, 0)` and `(0, 1)` about the centre go: the columns of the matrix, `(2, 2)`."""
    axes = EventChunk(
        t_us=np.zeros(2, np.int64),
        t_end_us=0,
        x=np.array([CENTRE + RADIUS, CENTRE], np.uint16),
        y=np.array([CENTRE, CENTRE + RADIUS], np.uint16),
        on=np.ones(2, np.bool_),
    )
    after = augment(axes, GRID, config, DT_US, np.random.default_rng(seed))
    assert after.x is not None
    assert after.y is not None
    return (np.stack([after.x, after.y]).astype(np.float64) - CENTRE) / RADIUS


def times(config: AugmentConfig, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    events = make_chunk(100, 40, 40, 500_000)
    after = augment(events, GRID, config, DT_US, np.random.default_rng(seed))
    return events.t_us, after.t_us


def assert_spread(drawn: list[float], bound: float) -> None:
    """Uniform over `[-bound, bound]`: never beyond, both signs, and more than half way out."""
    assert max(map(abs, drawn)) <= bound + 2 * ROUNDING
    assert min(drawn) < -bound / 2
    assert max(drawn) > bound / 2


def test_turning_keeps_distances_and_changes_angles() -> None:
    angles = []
    for seed in SEEDS:
        matrix = moved(AugmentConfig(rotate_deg=40.0), seed)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(2), atol=2 * ROUNDING)
        assert np.linalg.det(matrix) > 0.0
        angles.append(float(np.arctan2(matrix[1, 0], matrix[0, 0])))
    assert_spread(angles, np.radians(40.0))


def test_zooming_scales_each_axis_and_turns_none() -> None:
    zooms: list[list[float]] = [[], []]
    for seed in SEEDS:
        matrix = moved(AugmentConfig(zoom=0.2), seed)
        np.testing.assert_allclose(matrix, np.diag(np.diag(matrix)), atol=ROUNDING)
        for axis in range(2):
            zooms[axis].append(float(matrix[axis, axis]) - 1.0)
    for drawn in zooms:
        assert_spread(drawn, 0.2)


def test_shearing_slants_one_axis_and_keeps_the_other() -> None:
    slants = []
    for seed in SEEDS:
        matrix = moved(AugmentConfig(shear=0.3), seed)
        slants.append(float(matrix[0, 1]))
        matrix[0, 1] = 0.0
        np.testing.assert_allclose(matrix, np.eye(2), atol=ROUNDING)
    assert_spread(slants, 0.3)


def test_stretching_scales_all_times_alike() -> None:
    stretches = []
    for seed in SEEDS:
        before, after = times(AugmentConfig(time_stretch=0.2), seed)
        stretch = float(after[-1] / before[-1])
        np.testing.assert_allclose(after, stretch * before, atol=1.0)
        stretches.append(stretch - 1.0)
    assert_spread(stretches, 0.2)


def test_a_random_phase_delays_all_times_alike_by_less_than_a_bin() -> None:
    phases = []
    for seed in SEEDS:
        before, after = times(AugmentConfig(random_phase=True), seed)
        delays = np.unique(after - before)
        assert len(delays) == 1
        assert 0 <= delays[0] < DT_US
        phases.append(int(delays[0]))
    assert min(phases) < DT_US // 4 < 3 * DT_US // 4 < max(phases)


@pytest.mark.parametrize("varied", [moved, times])
def test_the_same_random_numbers_vary_alike(
    varied: Callable[[AugmentConfig, int], Points],
) -> None:
    config = AugmentConfig(0, 40.0, 0.2, 0.3, 0.2, random_phase=True)
    one, again, other = (np.array(varied(config, seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
