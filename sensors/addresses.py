"""How often each address of a sensor fired, and which fire too often to be telling."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry

Counts = NDArray[np.int64]

# 8 bytes each; more than any event sensor has, less than a damaged header may claim.
MOST_COUNTED = 1 << 23

_TIMES_NEIGHBOURS = 10
_TIMES_MEAN = 5
_REACH = 2


@dataclass(frozen=True, slots=True)
class Hot:
    """An address that fires far too often: its `x, y` or its channel, and its events."""

    address: tuple[int, ...]
    events: int


def new_counts(geometry: Geometry) -> Counts | None:
    """Return zeros, `(height, width)` or `(1, channels)`; None for more than `MOST_COUNTED`."""
    if isinstance(geometry, GridGeometry):
        height, width = geometry.height, geometry.width
    else:
        height, width = 1, geometry.channels
    return np.zeros((height, width), np.int64) if height * width <= MOST_COUNTED else None


def count_addresses(counts: Counts, chunk: EventChunk) -> None:
    """Add a chunk's events, none of them outside the geometry, to `counts`."""
    if chunk.x is not None and chunk.y is not None:
        _add_grid(chunk.x, chunk.y, counts)
    elif chunk.channel is not None:
        _add_channels(chunk.channel, counts[0])


@njit(cache=True, nogil=True)
def _add_grid(x: Addresses, y: Addresses, counts: Counts) -> None:
    for k in range(len(x)):
        counts[y[k], x[k]] += 1


@njit(cache=True, nogil=True)
def _add_channels(channel: Addresses, counts: Counts) -> None:
    for k in range(len(channel)):
        counts[channel[k]] += 1


def count_plainly(counts: Counts, chunk: EventChunk) -> None:
    """Do what `count_addresses` does, in NumPy."""
    if chunk.x is not None and chunk.y is not None:
        np.add.at(counts, (chunk.y, chunk.x), 1)
    elif chunk.channel is not None:
        np.add.at(counts[0], chunk.channel, 1)


def hot_mask(counts: Counts) -> NDArray[np.bool_]:
    """Return which addresses are hot: far above the mean, and far above all around them.

    An address is hot that fired more than 5 times as often as the mean of those that fired at all,
    and more than `10 (1 + m)` times, `m` being the median of its neighbours: the 24 pixels of the
    5x5 square, or the two channels on either side. The neighbours tell a broken pixel, which stands
    alone, from a busy scene; the median lets several broken ones stand together.

    Shapes: `(height, width)` both.
    """
    hot = np.zeros(counts.shape, np.bool_)
    fired = int(np.count_nonzero(counts))
    if fired == 0 or counts.size < 2:
        return hot
    least = max(_TIMES_NEIGHBOURS, _TIMES_MEAN * int(counts.sum()) / fired)
    y, x = np.nonzero(counts > least)
    height, width = counts.shape
    around = []
    for dy in range(-_REACH, _REACH + 1):
        for dx in range(-_REACH, _REACH + 1):
            if dy == dx == 0:
                continue
            inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
            there = counts[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
            around.append(np.where(inside, there, np.nan))
    median = np.nanmedian(np.array(around), axis=0)
    hot[y, x] = counts[y, x] > _TIMES_NEIGHBOURS * (1.0 + median)
    return hot


def hottest(counts: Counts, mask: NDArray[np.bool_], geometry: Geometry, most: int) -> list[Hot]:
    """Return at most so many hot addresses, those with the most events first."""
    y, x = np.nonzero(mask)
    order = np.argsort(-counts[y, x], kind="stable")[:most]
    grid = isinstance(geometry, GridGeometry)
    return [
        Hot((column, row) if grid else (column,), int(counts[row, column]))
        for row, column in zip(y[order].tolist(), x[order].tolist(), strict=True)
    ]
