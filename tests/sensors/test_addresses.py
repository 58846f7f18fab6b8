"""How often each address fires, and which are hot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.addresses import (
    MOST_COUNTED,
    Counts,
    Hot,
    count_addresses,
    count_plainly,
    hot_mask,
    hottest,
    new_counts,
)
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.builders import make_chunk, seeds

GRID = GridGeometry(20, 15)


def busy(seed: int) -> Counts:
    """A scene: a bright blob on a quiet ground, as a camera sees it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :80]
    rate = 1.0 + 200.0 * np.exp(-((x - 40.0) ** 2 + (y - 30.0) ** 2) / 120.0)
    counts: Counts = rng.poisson(rate).astype(np.int64)
    return counts


@given(seeds, st.integers(0, 200))
def test_the_kernels_agree_with_numpy(seed: int, events: int) -> None:
    grid = make_chunk(events, GRID.width, GRID.height, 1_000, seed)
    channel = EventChunk(grid.t_us, grid.t_end_us, channel=grid.x)
    for chunk, geometry in ((grid, GRID), (channel, ChannelGeometry(20))):
        ours, plain = new_counts(geometry), new_counts(geometry)
        assert ours is not None
        assert plain is not None
        count_addresses(ours, chunk)
        count_plainly(plain, chunk)
        assert ours.sum() == events
        assert (ours == plain).all()


@given(seeds)
def test_a_bright_scene_has_no_hot_pixel(seed: int) -> None:
    assert not hot_mask(busy(seed)).any()


@given(seeds, st.lists(st.tuples(st.integers(0, 59), st.integers(0, 79)), max_size=6, unique=True))
def test_broken_pixels_are_found_wherever_they_lie_also_side_by_side(
    seed: int, places: list[tuple[int, int]]
) -> None:
    counts = busy(seed)
    for y, x in [*places, (0, 0), (30, 40), (30, 41)]:
        counts[y, x] = 50_000
    found = {tuple(place) for place in np.argwhere(hot_mask(counts)).tolist()}
    assert found == {*places, (0, 0), (30, 40), (30, 41)}


def test_little_is_never_hot() -> None:
    """Ten events are few, whatever the silence round them."""
    counts = np.zeros((30, 30), np.int64)
    counts[10, 10] = 10
    counts[::3, ::3] += 1
    assert not hot_mask(counts).any()
    assert not hot_mask(np.zeros((3, 3), np.int64)).any()
    assert not hot_mask(np.array([[1_000]])).any()


def test_a_hot_channel_is_found_among_its_neighbours() -> None:
    counts = np.full((1, 64), 20, np.int64)
    counts[0, 63] = 900
    mask = hot_mask(counts)
    assert hottest(counts, mask, ChannelGeometry(64), 5) == [Hot((63,), 900)]


def test_the_worst_come_first_and_no_more_than_asked_for() -> None:
    counts = np.ones((15, 20), np.int64)
    counts[3, 7], counts[9, 1], counts[14, 19] = 500, 900, 700
    found = hottest(counts, hot_mask(counts), GRID, 2)
    assert found == [Hot((1, 9), 900), Hot((19, 14), 700)]


def test_a_sensor_of_too_many_pixels_is_not_counted() -> None:
    assert new_counts(GridGeometry(65_535, 65_535)) is None
    assert new_counts(GridGeometry(1_280, 720)) is not None
    assert MOST_COUNTED > 1_280 * 720
