"""From event columns to input vectors: one kernel pass with bounds, mask and lateness.

Bins are half-open intervals of event time, `[k dt, (k + 1) dt)`. A window of consecutive bins is
open at a time, a ring of rows; the kernel adds every event that falls into it, counts what does not
fit, and stops at the first event beyond it, so that the caller closes the oldest bin and goes on.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

from retempo.exporters.description import ChannelSpec, InputSpec
from retempo.runtime.errors import InputError
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.evt.packed import ON_AT, TIME_AT, X_MASK, Y_BITS, Y_MASK, Words
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

Bins = NDArray[np.float32]
Counts = NDArray[np.int64]
Index = NDArray[np.int32]
Mask = NDArray[np.bool_]

# What the kernel counts, by position in `counts`; LATEST is the highest bin that got an event,
# OLDEST the lowest that can still get one.
BINNED, LATE, INVALID, MASKED, LATEST, OLDEST = range(6)
NO_BIN = np.iinfo(np.int64).min
# More bins than any silence takes; the sum with a bin's number is still a number.
FOREVER = 1 << 61


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
    """Check that a source has the sensor that a model expects.

    Raises:
        InputError: it has another.
    """
    wanted = geometry_of(spec)
    if geometry != wanted:
        raise InputError(
            f"{model} expects {wanted} inputs, {source} is {geometry}; "
            "use a recording of that sensor, or a model trained for this one"
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
    counts = np.zeros(6, np.int64)
    counts[LATEST] = counts[OLDEST] = NO_BIN
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

    Shapes: event columns `(events,)`, `window` `(open bins * parts, inputs)`, `counts` `(6,)`.
    """
    patience = window.shape[0] // parts - 1
    end: int = _place(
        (t_us, x, y, on),
        begin,
        first_bin,
        head,
        dt_us,
        parts,
        unit_us,
        patience,
        FOREVER,
        columns,
        rows,
        plane,
        mask,
        window,
        counts,
    )
    return end


@njit(cache=True, nogil=True)
def bin_packed(
    words: Words,
    base_us: int,
    begin: int,
    first_bin: int,
    dt_us: int,
    parts: int,
    unit_us: int | None,
    patience: int,
    silence: int,
    columns: Index,
    rows: Index,
    plane: int,
    mask: Mask,
    window: Bins,
    counts: Counts,
) -> int:  # pragma: no cover - compiled
    """As `bin_events`, for the packed events of `sensors.evt` and a window of any length.

    An event is late where it lies more than `patience` bins before the latest one. An event more
    than `silence` bins after the latest binned one ends the call, too.
    """
    end: int = _place(
        (words, base_us),
        begin,
        first_bin,
        0,
        dt_us,
        parts,
        unit_us,
        patience,
        silence,
        columns,
        rows,
        plane,
        mask,
        window,
        counts,
    )
    return end


def _event(events: Any, i: Any) -> Any:
    """Return time, x, y and polarity of an event; compiled for columns and for packed events."""
    raise NotImplementedError


@overload(_event, strict=False)
def _event_of(events: Any, i: int) -> Any:  # pragma: no cover - compiled
    del i
    if len(events) == 4:
        return lambda events, i: (events[0][i], events[1][i], events[2][i], events[3][i])
    return lambda events, i: (
        events[1] + (events[0][i] >> TIME_AT),
        np.uint16((events[0][i] >> Y_BITS) & X_MASK),
        np.uint16(events[0][i] & Y_MASK),
        (events[0][i] >> ON_AT) & 1,
    )


@njit(cache=True, nogil=True)
def _place(
    events: Any,
    begin: int,
    first_bin: int,
    head: int,
    dt_us: int,
    parts: int,
    unit_us: int | None,
    patience: int,
    silence: int,
    columns: Index,
    rows: Index,
    plane: int,
    mask: Mask,
    window: Bins,
    counts: Counts,
) -> Any:  # pragma: no cover - compiled
    """Do what `bin_events` and `bin_packed` do."""
    opened = window.shape[0] // parts
    origin = first_bin * dt_us
    high = origin + opened * dt_us
    oldest = max(first_bin, counts[OLDEST])
    low = oldest * dt_us
    bin_low = high
    bin_high = high
    slot = 0
    ahead = 0
    size = len(events[0])
    latest = counts[LATEST]
    # Counts in memory would be a chain of writes and reads from event to event.
    invalid, late, masked = 0, 0, 0
    i = np.uint64(begin)
    while i < np.uint64(size):
        t, x, y, on = _event(events, i)
        if x >= columns.shape[0] or y >= rows.shape[0]:
            invalid += 1
            i += np.uint64(1)
            continue
        if t >= high:
            break
        if t < low:
            late += 1
            i += np.uint64(1)
            continue
        # Events come in runs of one bin: dividing once a run is twice as fast as once an event.
        if t < bin_low or t >= bin_high:
            ahead = (t - origin) // dt_us
            late_before = first_bin + ahead - patience
            silent_until = latest + 1 + silence
            if latest != NO_BIN and late_before > max(silent_until, first_bin):
                break
            oldest = max(oldest, late_before)
            low = oldest * dt_us
            slot = (head + ahead) % opened
            bin_low = origin + ahead * dt_us
            bin_high = bin_low + dt_us
            # None is a type of its own to Numba: bins of one part have a kernel without this.
            if unit_us is not None:
                unit = t // unit_us
                slot = slot * parts + unit - bin_low // unit_us
                bin_low = max(bin_low, unit * unit_us)
                bin_high = min(bin_high, (unit + 1) * unit_us)
        if mask.size > 0 and mask[y, x]:
            masked += 1
            i += np.uint64(1)
            continue
        latest = max(latest, first_bin + ahead)
        row = window[slot]
        if mask.size > 0:
            row[columns[x] + rows[y] + plane * np.int64(on)] += np.float32(1.0)
            i += np.uint64(1)
        else:
            i = _run(events, i, bin_low, bin_high, columns, rows, plane, row)
    end = int(i)
    counts[BINNED] += end - begin - invalid - late - masked
    counts[LATE] += late
    counts[INVALID] += invalid
    counts[MASKED] += masked
    counts[LATEST] = latest
    counts[OLDEST] = oldest
    return end


@njit(cache=True, nogil=True)
def _run(
    events: Any,
    begin: Any,
    low: Any,
    high: Any,
    columns: Index,
    rows: Index,
    plane: int,
    row: Bins,
) -> Any:  # pragma: no cover - compiled
    """Add events as long as they lie on the sensor and in one bin; return the first that does not.

    A loop of its own keeps all that it needs in registers.
    """
    width, height = columns.shape[0], rows.shape[0]
    # Unsigned indices need no look at their sign.
    size = np.uint64(len(events[0]))
    i = np.uint64(begin)
    while i < size:
        t, x, y, on = _event(events, i)
        if x >= width or y >= height or t < low or t >= high:
            break
        row[np.uint64(columns[x] + rows[y] + plane * np.int64(on))] += np.float32(1.0)
        i += np.uint64(1)
    return i


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
    counts[OLDEST] = max(counts[OLDEST], first_bin)
    return end


def inside(columns: Columns, layout: BinLayout) -> Polarities:
    """Return which events lie on the sensor, `(events,)`."""
    return (columns.x < len(layout.columns)) & (columns.y < len(layout.rows))


def _sides(spec: InputSpec) -> tuple[int, int, int]:
    if isinstance(spec.geometry, ChannelSpec):
        return spec.geometry.channels, 1, 1
    return spec.geometry.width, spec.geometry.height, spec.geometry.polarities
