"""The bins of a whole recording, for training and bulk replay."""

from collections.abc import Iterator

import numpy as np

from retempo.runtime.bin_modes import cut_of, inputs_of
from retempo.runtime.binner import SILENCE_US, Binner
from retempo.runtime.binning import (
    BINNED,
    INVALID,
    LATE,
    MASKED,
    BinLayout,
    Bins,
    Columns,
    Counts,
    bin_events,
    columns_of,
    inside,
    new_counts,
)
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.sensors.events import EventChunk

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
    columns = columns_of(chunk)
    plain = _plain_bins(columns, chunk.t_end_us, layout, dt_us)
    if plain is not None:
        return plain
    _check_size(_most_bins(columns, chunk.t_end_us, layout, dt_us), layout, dt_us)
    counters = Counters()
    rows = [row.copy() for row in _streamed(chunk, layout, dt_us, counters)]
    counts = new_counts()
    counts[BINNED], counts[LATE] = counters.binned, counters.late
    counts[INVALID], counts[MASKED] = counters.invalid, counters.masked
    return np.array(rows, np.float32).reshape(-1, layout.inputs), counts


def _streamed(
    chunk: EventChunk, layout: BinLayout, dt_us: int, counters: Counters
) -> Iterator[Bins]:
    binner = Binner(layout, dt_us, counters)
    for _, row in binner.feed(chunk):
        yield row
    for _, row in binner.finish():
        yield row


def _plain_bins(
    columns: Columns, t_end_us: int, layout: BinLayout, dt_us: int
) -> tuple[Bins, Counts] | None:
    """Bin by one call of the kernel; None where disorder, a mask or a gap asks for the binner.

    So do bins of several parts: all of them at once take many times what the bins do.
    """
    times = columns.t_us[inside(columns, layout)]
    cut = cut_of(layout.spec, dt_us)
    if layout.mask.size or not len(times) or cut.parts > 1:
        return None
    steps_us = np.diff(times, append=max(t_end_us, int(times[-1])))
    if steps_us.min() < 0 or steps_us.max() > SILENCE_US:
        return None
    first, last = int(times[0]) // dt_us, int(times[-1]) // dt_us
    bins = max(last + 1, t_end_us // dt_us) - first
    _check_size(bins, layout, dt_us)
    window = np.zeros((bins, layout.inputs), np.float32)
    counts = new_counts()
    bin_events(*columns, 0, first, 0, dt_us, cut.parts, cut.unit_us, *layout.arrays, window, counts)
    return inputs_of(window[:, np.newaxis], layout.spec, dt_us), counts


def _most_bins(columns: Columns, t_end_us: int, layout: BinLayout, dt_us: int) -> int:
    """Bound the bins of a recording: its span, less what every gap leaves out."""
    times = np.sort(columns.t_us[inside(columns, layout)])
    if not len(times):
        return 0
    steps_us = np.diff(times, append=max(t_end_us, int(times[-1])))
    return int(np.minimum(steps_us, SILENCE_US + dt_us).sum()) // dt_us + 2


def _check_size(bins: int, layout: BinLayout, dt_us: int) -> None:
    if bins * layout.inputs * 4 > _MOST_BYTES:
        raise InputError(
            f"a recording of {bins:,} bins of {dt_us} us is too long to be held at once; "
            "cut it, or replay it, which streams"
        )
