"""Which pixels are hot, from how often each has fired.

A pixel or channel is hot where its count is far beyond those of the others,

    count > m + 10 max(1.4826 MAD, sqrt(m)),    count >= 10

with m the median of the counts of all that have fired and MAD their median distance from it (the
square root is the spread of a Poisson count, which many equal counts would hide), and, on a grid,
more than 4 times the second largest count of its 8 neighbours: an edge that moves through the scene
fires along its length, a hot pixel alone or beside one other.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Source
from retempo.sensors.filters.select import Keep, all_inside, pixels_of
from retempo.sensors.geometry import Geometry, GridGeometry

# Fewer events are too few to tell a rate by.
FEWEST = 10
_SPREADS = 10.0
_TIMES_NEIGHBOURS = 4
# Counts below it are tallied by value, larger ones put in order.
_TALLIED = 1 << 16
# The standard deviation of a normal distribution in units of its MAD.
_MAD_TO_SIGMA = 1.4826

Mask = NDArray[np.bool_]
AnyCounts = NDArray[np.integer]


def hot_pixels(counts: AnyCounts) -> Mask:
    """Return which pixels or channels are hot, see above.

    Args:
        counts: events of each place, `(height, width)` or `(channels,)`, none below 0.

    Returns:
        True where hot, of the same shape.
    """
    hot = np.zeros(counts.shape, np.bool_)
    flat = np.ascontiguousarray(counts, np.int64)
    threshold = threshold_of(flat.reshape(-1))
    if math.isfinite(threshold):
        rows = flat.reshape(1, -1) if flat.ndim == 1 else flat
        mark_hot(rows, math.floor(threshold), flat.ndim == 2, hot.reshape(rows.shape))
    return hot


def find_hot_pixels(source: Source) -> Mask:
    """Return the hot pixels of a whole source, as `hot_pixels`; events outside it do not count.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    geometry = source.geometry
    counts = np.zeros(shape_of(geometry), np.int64)
    for chunk in source:
        inside = all_inside(chunk, geometry)
        if isinstance(geometry, GridGeometry):
            assert chunk.x is not None  # noqa: S101  (the geometry is a grid)
            assert chunk.y is not None  # noqa: S101
            columns = [chunk.y.astype(np.int64), chunk.x.astype(np.int64)]
        else:
            assert chunk.channel is not None  # noqa: S101
            columns = [chunk.channel.astype(np.int64)]
        if not inside:
            sides = counts.shape
            good = np.logical_and.reduce([c < s for c, s in zip(columns, sides, strict=True)])
            columns = [column[good] for column in columns]
        places = np.ravel_multi_index(tuple(columns), counts.shape)
        counts += np.bincount(places, minlength=pixels_of(geometry)).reshape(counts.shape)
    return hot_pixels(counts)


def shape_of(geometry: Geometry) -> tuple[int, ...]:
    """Return the shape of counts or masks of a sensor, polarities apart."""
    if isinstance(geometry, GridGeometry):
        return geometry.height, geometry.width
    return (geometry.channels,)


def threshold_of(counts: NDArray[np.int64]) -> float:
    """Return what a hot pixel's count exceeds by the counts of all, inf if none has fired."""
    active = int(np.count_nonzero(counts))
    if active == 0:
        return math.inf
    middles = middles_by_tally if int(counts.max()) < _TALLIED else middles_by_order
    median, distance = middles(counts, active // 2)
    return max(FEWEST - 1.0, median + _SPREADS * max(_MAD_TO_SIGMA * distance, math.sqrt(median)))


def middles_by_tally(counts: NDArray[np.int64], nth: int) -> tuple[int, int]:
    """Return the `nth` smallest of the counts that are not 0, and of their distances from it.

    Without a sort, so that a live stream is not held up while a large sensor's mask is learned.
    """
    tally = np.bincount(counts)
    tally[0] = 0
    median = int(np.searchsorted(np.cumsum(tally), nth, side="right"))
    below = tally[:median][::-1]
    distances = np.zeros(max(len(tally) - median, median + 1), np.int64)
    distances[: len(tally) - median] += tally[median:]
    distances[1 : median + 1] += below
    return median, int(np.searchsorted(np.cumsum(distances), nth, side="right"))


def middles_by_order(counts: NDArray[np.int64], nth: int) -> tuple[int, int]:
    """As `middles_by_tally`, for counts of any size, and its twin in the tests."""
    active = counts[counts > 0]
    median = int(np.partition(active, nth)[nth])
    return median, int(np.partition(np.abs(active - median), nth)[nth])


@njit(cache=True, nogil=True)
def mark_hot(
    counts: NDArray[np.int64], threshold: int, grid: bool, hot: Keep
) -> None:  # pragma: no cover - compiled
    """Write True to `hot` where a count exceeds the threshold and, on a grid, its neighbours.

    Shapes: both `(height, width)`.
    """
    height, width = counts.shape
    for row in range(height):
        for column in range(width):
            count = counts[row, column]
            if count <= threshold:
                continue
            largest, second = 0, 0
            if grid:
                for y in range(max(0, row - 1), min(height, row + 2)):
                    for x in range(max(0, column - 1), min(width, column + 2)):
                        if y == row and x == column:
                            continue
                        near = counts[y, x]
                        if near > largest:
                            largest, second = near, largest
                        elif near > second:
                            second = near
            # Divided, not multiplied: a product could leave 64 bits.
            hot[row, column] = (count - 1) // _TIMES_NEIGHBOURS >= second


def mark_hot_numpy(counts: NDArray[np.int64], threshold: int, grid: bool, hot: Keep) -> None:
    """As `mark_hot`, in plain NumPy: its twin in the tests."""
    above = counts > threshold
    if not grid:
        hot |= above
        return
    height, width = counts.shape
    wide = np.pad(counts, 1)
    near = [wide[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    second = np.sort(near[:4] + near[5:], axis=0)[-2]
    hot |= above & (counts > _TIMES_NEIGHBOURS * second)
