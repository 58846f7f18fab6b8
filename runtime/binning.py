"""From event columns to input vectors: one kernel pass with bounds, mask and lateness.

Bins are half-open intervals of event time, `[k dt, (k + 1) dt)`. A window of consecutive bins is
open at a time, a ring of rows; the kernel adds every event that falls into it, counts what does not
fit, and stops at the first event beyond it, so that the caller closes the oldest bin and goes on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.exporters.description import ChannelSpec, InputSpec
from retempo.runtime.errors import InputError
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.filters.suggest import filters_to
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

Bins = NDArray[np.float32]
Counts = NDArray[np.int64]
Index = NDArray[np.int32]
Mask = NDArray[np.bool_]

# What the kernel counts, by position in `counts`; LATEST is the highest bin that got an event.
BINNED, LATE, INVALID, MASKED, LATEST = range(5)
NO_BIN = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class BinLayout:
    """How the addresses of a sensor map to the inputs of a network.

    Input of an event: `columns[x] + rows[y] + plane * on`. A channel sensor is a grid of one row
    and one polarity. `mask[y, x]` switches an address off; an empty mask switches none.

    Shapes: `columns` `(width,)`, `rows` `(height,)`, `mask` `(height, width)` or `(0, 0)`.
    """

    columns: Index
    rows: Index
    plane: int
    inputs: int
    mask: Mask
    spec: InputSpec

    @property
    def arrays(self) -> tuple[Index, Index, int, Mask]:
        """What the kernel takes of it, in its order."""
        return self.columns, self.rows, self.plane, self.mask


class Columns(NamedTuple):
    """The columns of a chunk as the kernel takes them, whatever the sensor."""

    t_us: Times
    x: Addresses
    y: Addresses
    on: Polarities


def layout_of(spec: InputSpec, mask: Mask | None = None) -> BinLayout:
    """Return the layout of a network's input.

    Args:
        spec: the input of the contract.
        mask: True at the addresses to switch off, `(height, width)` or `(channels,)`.

    Raises:
        InputError: the mask has another shape.
    """
    width, height, polarities = _sides(spec)
    step = spec.downsample
    reduced_width, reduced_height = -(-width // step), -(-height // step)
    if mask is None:
        mask = np.zeros((0, 0), np.bool_)
    elif mask.shape in ((height, width), (width,)):
        mask = np.ascontiguousarray(mask.reshape(height, width))
    else:
        raise InputError(f"the mask has the shape {mask.shape}, the sensor {(height, width)}")
    return BinLayout(
        columns=(np.arange(width) // step).astype(np.int32),
        rows=(np.arange(height) // step * reduced_width).astype(np.int32),
        plane=reduced_width * reduced_height if polarities == 2 else 0,
        inputs=spec.size,
        mask=mask,
        spec=spec,
    )


def geometry_of(spec: InputSpec) -> Geometry:
    """Return the sensor that a network's input asks for."""
    if isinstance(spec.geometry, ChannelSpec):
        return ChannelGeometry(spec.geometry.channels)
    grid = spec.geometry
    return GridGeometry(grid.width, grid.height, grid.polarities)


def check_geometry(spec: InputSpec, geometry: Geometry, source: str, model: str) -> None:
    """Check that a source, as it leaves its filters, has the sensor that a model expects.

    Raises:
        InputError: it has another; the text names the filters that would fit it, if there are any.
    """
    wanted = geometry_of(spec)
    if geometry != wanted:
        fitting = filters_to(wanted, geometry)
        noun = "filter" if len(fitting) == 1 else "filters"
        among = f"the {noun} {' and '.join(fitting)}, " if fitting else ""
        raise InputError(
            f"{model} expects {wanted} inputs, {source} is {geometry}; "
            f"use {among}a recording of that sensor, or a model trained for this one"
        )


def columns_of(chunk: EventChunk) -> Columns:
    """Return a chunk's columns; a channel sensor becomes a grid of one row and one polarity."""
    if chunk.channel is not None:
        nothing = np.zeros(len(chunk), np.uint16)
        return Columns(chunk.t_us, chunk.channel, nothing, nothing.astype(np.bool_))
    assert chunk.x is not None  # noqa: S101  (EventChunk has checked it)
    assert chunk.y is not None  # noqa: S101
    assert chunk.on is not None  # noqa: S101
    return Columns(chunk.t_us, chunk.x, chunk.y, chunk.on)


def new_counts() -> Counts:
    """Return counts of nothing."""
    counts = np.zeros(5, np.int64)
    counts[LATEST] = NO_BIN
    return counts


@njit(cache=True, nogil=True)
def bin_events(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    begin: int,
    first_bin: int,
    head: int,
    dt_us: int,
    parts: int,
    unit_us: int | None,
    columns: Index,
    rows: Index,
    plane: int,
    mask: Mask,
    window: Bins,
    counts: Counts,
) -> int:  # pragma: no cover - compiled
    """Add the events from `begin` on to the open bins; return the first that lies beyond them.

    `window[slot * parts + j]` with `slot = (head + k) % open bins` is unit `j` of the bin
    `first_bin + k`, see `runtime.bin_modes.Cut`; `counts` is added to; make it with `new_counts`.
    An event outside the sensor never moves time on.

    Shapes: event columns `(events,)`, `window` `(open bins * parts, inputs)`, `counts` `(5,)`.
    """
    opened = window.shape[0] // parts
    low = first_bin * dt_us
    high = low + opened * dt_us
    bin_low = high
    bin_high = high
    slot = 0
    for i in range(begin, t_us.shape[0]):
        if x[i] >= columns.shape[0] or y[i] >= rows.shape[0]:
            counts[INVALID] += 1
            continue
        t = t_us[i]
        if t >= high:
            return i
        if t < low:
            counts[LATE] += 1
            continue
        if mask.size > 0 and mask[y[i], x[i]]:
            counts[MASKED] += 1
            continue
        # Events come in runs of one bin: dividing once a run is twice as fast as once an event.
        if t < bin_low or t >= bin_high:
            ahead = (t - low) // dt_us
            slot = (head + ahead) % opened
            bin_low = low + ahead * dt_us
            bin_high = bin_low + dt_us
            # None is a type of its own to Numba: bins of one part have a kernel without this.
            if unit_us is not None:
                unit = t // unit_us
                slot = slot * parts + unit - bin_low // unit_us
                bin_low = max(bin_low, unit * unit_us)
                bin_high = min(bin_high, (unit + 1) * unit_us)
            counts[LATEST] = max(counts[LATEST], first_bin + ahead)
        address = columns[x[i]] + rows[y[i]]
        if on[i]:
            address += plane
        window[slot, address] += np.float32(1.0)
        counts[BINNED] += 1
    return int(t_us.shape[0])


def bin_events_numpy(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    begin: int,
    first_bin: int,
    head: int,
    dt_us: int,
    parts: int,
    unit_us: int | None,
    columns: Index,
    rows: Index,
    plane: int,
    mask: Mask,
    window: Bins,
    counts: Counts,
) -> int:
    """As `bin_events`, in plain NumPy: its twin in the tests."""
    opened = len(window) // parts
    low, high = first_bin * dt_us, (first_bin + opened) * dt_us
    inside = (x < len(columns)) & (y < len(rows))
    beyond = np.flatnonzero(inside & (t_us >= high))
    beyond = beyond[beyond >= begin]
    end = int(beyond[0]) if len(beyond) else len(t_us)
    part = slice(begin, end)
    t_us, x, y, on, inside = t_us[part], x[part], y[part], on[part], inside[part]
    late = inside & (t_us < low)
    masked = inside & ~late
    masked[masked] = mask[y[masked], x[masked]] if mask.size else False
    kept = inside & ~late & ~masked
    ahead = (t_us[kept] - low) // dt_us
    unit = t_us[kept] // unit_us - (low + ahead * dt_us) // unit_us if unit_us else 0
    slots = (head + ahead) % opened * parts + unit
    np.add.at(window, (slots, columns[x[kept]] + rows[y[kept]] + plane * on[kept]), 1)
    counts[:LATEST] += np.array([kept.sum(), late.sum(), (~inside).sum(), masked.sum()])
    if len(ahead):
        counts[LATEST] = max(counts[LATEST], first_bin + ahead.max())
    return end


def inside(columns: Columns, layout: BinLayout) -> Polarities:
    """Return which events lie on the sensor, `(events,)`."""
    return (columns.x < len(layout.columns)) & (columns.y < len(layout.rows))


def _sides(spec: InputSpec) -> tuple[int, int, int]:
    if isinstance(spec.geometry, ChannelSpec):
        return spec.geometry.channels, 1, 1
    return spec.geometry.width, spec.geometry.height, spec.geometry.polarities
