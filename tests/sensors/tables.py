"""Events to be written in every layout of table, for tests."""

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry

GRID = GridGeometry(640, 480)
Rows = list[tuple[int, int, int, int]]

ROWS: st.SearchStrategy[Rows] = st.lists(
    st.tuples(st.integers(0, 2**45), st.integers(0, 639), st.integers(0, 479), st.integers(0, 1)),
    max_size=60,
)


def moving(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Rows t, x, y, on as of a sensor: the time grows, the rest does not. Shape `(count, 4)`."""
    draw = np.random.default_rng(seed)
    t_us = 100_000 + np.cumsum(draw.integers(0, 20, count))
    limits = (GRID.width, GRID.height, 2)
    return np.stack([t_us, *(draw.integers(0, limit, count) for limit in limits)], axis=1)


def rows_of(chunk: EventChunk) -> list[tuple[int, ...]]:
    """The events of a chunk as rows."""
    columns = [chunk.t_us, chunk.x, chunk.y, chunk.on, chunk.channel]
    there = [column.tolist() for column in columns if column is not None]
    return [tuple(int(value) for value in row) for row in zip(*there, strict=True)]


@contextmanager
def peak_below(limit_mb: float) -> Iterator[None]:
    """Nothing within allocates more at once: of Python's and NumPy's memory, and of all memory."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit_mb * 1e6
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb * 1_024 < 2 * limit_mb * 1e6
