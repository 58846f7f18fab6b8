"""Some of a chunk's events: every column compacted in one pass."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.errors import FilterError
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.geometry import Geometry, GridGeometry

Keep = NDArray[np.bool_]

# Before the first event at an address: no event is as early.
NEVER = np.iinfo(np.int64).min
LATEST = np.iinfo(np.int64).max


def removing(chunk: EventChunk, keep: Keep, name: str) -> EventChunk:
    """Return the events to keep; those left out are counted in `removed` under `name`."""
    kept = select(chunk, keep)
    return replace(kept, removed=counted(chunk.removed, name, len(chunk) - len(kept)))


def counted(removed: Mapping[str, int], name: str, count: int) -> Mapping[str, int]:
    """Return the counts with more events removed by one filter."""
    return {**removed, name: removed.get(name, 0) + count} if count else removed


def select(chunk: EventChunk, keep: Keep) -> EventChunk:
    """Return the events to keep; `keep` is `(events,)`. What is kept whole is not copied."""
    kept = int(np.count_nonzero(keep))
    if kept == len(keep):
        return chunk
    t_us = _room(kept, np.int64)
    if chunk.channel is not None:
        channel = _room(kept, np.uint16)
        take_channels(keep, chunk.t_us, chunk.channel, t_us, channel)
        return replace(chunk, t_us=t_us[:kept], channel=channel[:kept])
    assert chunk.x is not None  # noqa: S101  (EventChunk has checked it)
    assert chunk.y is not None  # noqa: S101
    assert chunk.on is not None  # noqa: S101
    x, y, on = _room(kept, np.uint16), _room(kept, np.uint16), _room(kept, np.bool_)
    take_pixels(keep, chunk.t_us, chunk.x, chunk.y, chunk.on, t_us, x, y, on)
    return replace(chunk, t_us=t_us[:kept], x=x[:kept], y=y[:kept], on=on[:kept])


def _room(events: int, dtype: Any) -> NDArray[Any]:
    # The kernels write each event and then move on or not: the last one needs a place too.
    return np.empty(events + 1, dtype)


@njit(cache=True, nogil=True)
def take_pixels(
    keep: Keep,
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    out_t_us: Times,
    out_x: Addresses,
    out_y: Addresses,
    out_on: Polarities,
) -> None:  # pragma: no cover - compiled
    """Write the events to keep to the `out` columns, which have room for one more."""
    at = 0
    for i in range(len(keep)):
        out_t_us[at] = t_us[i]
        out_x[at] = x[i]
        out_y[at] = y[i]
        out_on[at] = on[i]
        at += keep[i]


@njit(cache=True, nogil=True)
def take_channels(
    keep: Keep, t_us: Times, channel: Addresses, out_t_us: Times, out_channel: Addresses
) -> None:  # pragma: no cover - compiled
    """As `take_pixels`, of a row of channels."""
    at = 0
    for i in range(len(keep)):
        out_t_us[at] = t_us[i]
        out_channel[at] = channel[i]
        at += keep[i]


def select_numpy(chunk: EventChunk, keep: Keep) -> EventChunk:
    """As `select`, in plain NumPy: its twin in the tests."""
    names = ("t_us", "x", "y", "on", "channel")
    columns = {name: getattr(chunk, name) for name in names}
    return replace(chunk, **{n: c[keep] for n, c in columns.items() if c is not None})


def flat_addresses(chunk: EventChunk, geometry: Geometry) -> tuple[Addresses, Addresses, int]:
    """Return `x`, `y` and the stride of a flat address, `y * stride + x`, whatever the sensor.

    Raises:
        FilterError: an event lies outside the sensor; a kernel would write beyond its state.
    """
    if all_inside(chunk, geometry):
        if isinstance(geometry, GridGeometry) and chunk.x is not None and chunk.y is not None:
            return chunk.x, chunk.y, geometry.width
        if chunk.channel is not None:
            return chunk.channel, chunk.channel, 0
    raise FilterError(
        f"a chunk holds events that no sensor of {geometry} has; run filters by "
        "filters.apply_filters or a Chain, which count and drop such events"
    )


def all_inside(chunk: EventChunk, geometry: Geometry) -> bool:
    """Return whether every event has an address of the sensor."""
    if isinstance(geometry, GridGeometry):
        if chunk.x is None or chunk.y is None:
            return False
        return _below(chunk.x, geometry.width) and _below(chunk.y, geometry.height)
    return chunk.channel is not None and _below(chunk.channel, geometry.channels)


def _below(address: Addresses, size: int) -> bool:
    return not len(address) or int(address.max()) < size


def pixels_of(geometry: Geometry) -> int:
    """Return how many places can fire, polarities apart."""
    if isinstance(geometry, GridGeometry):
        return geometry.width * geometry.height
    return geometry.channels


def need_grid(geometry: Geometry, name: str, why: str) -> GridGeometry:
    """Return the grid.

    Raises:
        FilterError: the sensor is a row of channels; the text names the filter and says why.
    """
    if isinstance(geometry, GridGeometry):
        return geometry
    raise FilterError(f"the filter {name} works on a grid of pixels, got {geometry}; {why}")
