"""How often each address of a sensor fired, and which fire too often to tell anything."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, EventChunk
from retempo.sensors.filters.hot_detection import hot_pixels
from retempo.sensors.geometry import Geometry, GridGeometry

Counts = NDArray[np.int64]

# 8 bytes each; more than any event sensor has, less than a damaged header may claim.
MOST_COUNTED = 1 << 23


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


def hot_addresses(counts: Counts, geometry: Geometry, most: int) -> tuple[int, tuple[Hot, ...]]:
    """Return how many addresses are hot (`filters.hot_detection`), and the worst of them.

    Shapes: `counts` as of `new_counts`; at most `most` are named, those with most events first.
    """
    grid = isinstance(geometry, GridGeometry)
    mask = hot_pixels(counts if grid else counts[0]).reshape(counts.shape)
    y, x = np.nonzero(mask)
    order = np.argsort(-counts[y, x], kind="stable")[:most]
    worst = (
        Hot((column, row) if grid else (column,), int(counts[row, column]))
        for row, column in zip(y[order].tolist(), x[order].tolist(), strict=True)
    )
    return len(x), tuple(worst)
