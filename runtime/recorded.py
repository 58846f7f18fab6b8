"""The bins of a whole recording, for training and bulk replay."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.runtime.bin_modes import cut_of, inputs_of
from retempo.runtime.binner import SILENCE_US, Binner
from retempo.runtime.binning import (
    BINNED,
    FOREVER,
    INVALID,
    LATE,
    MASKED,
    Counts,
    bin_events,
    new_counts,
)
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.kernel_events import Events, event_at, events_of, size_of
from retempo.runtime.layout import BinLayout, Bins, columns_of, inside
from retempo.runtime.rows import RowBinner
from retempo.runtime.sparse_bins import SparseBins
from retempo.sensors.events import EventChunk, Times

# What a recording may take as one array.
_MOST_BYTES = 4 << 30


def bin_recording(chunk: EventChunk, layout: BinLayout, dt_us: int) -> tuple[Bins, Counts]:
    """Bin a whole recording at once: the bins that `runtime.binner.Binner` gives, as one array.

    Args:
        chunk: all events.
        layout: see `layout_of`.
        dt_us: the time step.

    Returns:
        The bins, float32 `(bins, inputs)`, and the counts by BINNED, LATE, INVALID, MASKED.

    Raises:
        InputError: the bins would not fit into memory.
    """
    span = plain_span(chunk, layout, dt_us)
    if span is not None:
        window = np.zeros((span[1], layout.inputs), np.float32)
        return count_plain(chunk, layout, dt_us, span[0], window)
    _check_size(_most_bins(_times(chunk, layout), chunk.t_end_us, dt_us), 4 * layout.inputs, dt_us)
    counters = Counters()
    rows = [rows.copy() for _, rows in numbered_rows(chunk, layout, dt_us, counters)]
    counts = new_counts()
    counts[BINNED], counts[LATE] = counters.binned, counters.late
    counts[INVALID], counts[MASKED] = counters.invalid, counters.masked
    return np.concatenate([np.zeros((0, layout.inputs), np.float32), *rows]), counts


def list_recording(chunk: EventChunk, layout: BinLayout, dt_us: int) -> SparseBins:
    """Bin a whole recording to lists: the memory is that of the entries, not of bins x inputs.

    Raises:
        InputError: even the edges of the bins would not fit into memory.
    """
    _check_size(_most_bins(_times(chunk, layout), chunk.t_end_us, dt_us), 8, dt_us)
    binner = Binner(layout, dt_us, Counters())
    starts: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    inputs: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
    values: list[Bins] = [np.zeros(0, np.float32)]
    for part in (binner.feed(chunk), binner.finish()):
        for block in part:
            starts.append(block.bins.starts[1:] + starts[-1][-1])
            inputs.append(block.bins.inputs.copy())
            values.append(block.bins.values.copy())
    return SparseBins(np.concatenate(starts), np.concatenate(inputs), np.concatenate(values))


def numbered_rows(
    chunk: EventChunk, layout: BinLayout, dt_us: int, counters: Counters
) -> Iterator[tuple[int, Bins]]:
    """Yield the rows of a whole recording, see `runtime.rows.RowBinner`."""
    binner = RowBinner(layout, dt_us, counters)
    yield from binner.feed(chunk)
    yield from binner.finish()


def _times(chunk: EventChunk, layout: BinLayout) -> Times:
    """The times of the events on the sensor."""
    return chunk.t_us[inside(columns_of(chunk), layout)]


def plain_span(chunk: EventChunk, layout: BinLayout, dt_us: int) -> tuple[int, int] | None:
    """Return the first bin and how many there are, if one call of the kernel makes them all.

    None where disorder, a mask or a gap asks for the binner. So do bins of several parts: all of
    them at once take many times what the bins do.
    """
    cut = cut_of(layout.spec, dt_us)
    if layout.mask.size or not len(chunk) or cut.parts > 1:
        return None
    inside, first_us, last_us, least_us, most_us = reach_of(
        events_of(chunk), len(layout.columns), layout.height
    )
    if not inside or least_us < 0 or max(most_us, chunk.t_end_us - last_us) > SILENCE_US:
        return None
    first, last = first_us // dt_us, last_us // dt_us
    bins = max(last + 1, chunk.t_end_us // dt_us) - first
    _check_size(bins, 4 * layout.inputs, dt_us)
    return first, bins


def count_plain(
    chunk: EventChunk, layout: BinLayout, dt_us: int, first: int, window: Bins
) -> tuple[Bins, Counts]:
    """Count a recording into `window`, which holds zeros; see `plain_span`."""
    bins, counts = len(window), new_counts()
    filled, time = np.zeros(bins, np.int64), (dt_us, 1, 1, bins, FOREVER)
    bin_events(events_of(chunk), 0, first, 0, *time, *layout.arrays, window, None, filled, counts)
    return inputs_of(window[:, np.newaxis], layout.spec, dt_us), counts


@njit(cache=True, nogil=True, error_model="numpy")
def reach_of(
    events: Events, width: int, height: int
) -> tuple[int, int, int, int, int]:  # pragma: no cover - compiled
    """Return how many events lie on the sensor and how they lie in time.

    These are the times of the first and the last of them, then the least and the greatest step from
    one to the next; 0 where there is none.
    """
    inside, first, last, least, most = 0, 0, 0, 0, 0
    for i in range(size_of(events)):
        t, x, y, _ = event_at(events, np.uint64(i))
        if x >= width or y >= height:
            continue
        if inside == 0:
            first = last = t
        inside += 1
        least, most, last = min(least, t - last), max(most, t - last), t
    return inside, first, last, least, most


def reach_of_numpy(events: Any, width: int, height: int) -> tuple[int, int, int, int, int]:
    """Do what `reach_of` does, for grid columns: its plain twin."""
    t_us, x, y, _ = events
    times = t_us[(x < width) & (y < height)]
    if not len(times):
        return 0, 0, 0, 0, 0
    steps = np.diff(times, prepend=times[0])
    return len(times), int(times[0]), int(times[-1]), min(0, steps.min()), max(0, steps.max())


def _most_bins(times: Times, t_end_us: int, dt_us: int) -> int:
    """Bound the bins of a recording: its span, less what every gap leaves out."""
    times = np.sort(times)
    if not len(times):
        return 0
    steps_us = np.diff(times, append=max(t_end_us, int(times[-1])))
    return int(np.minimum(steps_us, SILENCE_US + dt_us).sum()) // dt_us + 2


def _check_size(bins: int, bytes_each: int, dt_us: int) -> None:
    if bins * bytes_each > _MOST_BYTES:
        raise InputError(
            f"a recording of {bins:,} bins of {dt_us} us is too long to be held at once; "
            "cut it, or replay it, which streams"
        )
