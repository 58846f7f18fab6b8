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
    hot_addresses,
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
def test_a_bright_scene_has_no_hot_pixel_and_broken_ones_are_named_worst_first(seed: int) -> None:
    counts = busy(seed)
    grid = GridGeometry(80, 60)
    assert hot_addresses(counts, grid, 5) == (0, ())
    counts[0, 0], counts[30, 40], counts[59, 7] = 50_000, 70_000, 60_000
    assert hot_addresses(counts, grid, 2) == (3, (Hot((40, 30), 70_000), Hot((7, 59), 60_000)))


def test_a_hot_channel_is_found() -> None:
    counts = np.full((1, 64), 20, np.int64)
    counts[0, 63] = 900
    assert hot_addresses(counts, ChannelGeometry(64), 5) == (1, (Hot((63,), 900),))


def test_a_sensor_of_too_many_pixels_is_not_counted() -> None:
    assert new_counts(GridGeometry(65_535, 65_535)) is None
    assert new_counts(GridGeometry(1_280, 720)) is not None
    assert MOST_COUNTED > 1_280 * 720
