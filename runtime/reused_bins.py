"""The bins of recording after recording in one array, of which only what was touched is cleared.

Most entries of fine bins are 0. To ask the system for a new array of zeros, or to clear a whole
one, takes longer than the counting: 491 MB for 0.2 s of a 640x480 sensor in bins of 1 ms.
"""

from typing import Any

import numpy as np
from numba import njit

from retempo.runtime.binning import Counts
from retempo.runtime.kernel_events import Events, event_at, events_of, size_of
from retempo.runtime.layout import BinLayout, Bins, Index
from retempo.runtime.recorded import bin_recording, count_plain, plain_span
from retempo.sensors.events import EventChunk

# An array with fewer entries an event is cleared as a whole, which is faster by then.
_ENTRIES_AN_EVENT = 8


class ReusedBins:
    """Makes what `runtime.recorded.bin_recording` makes, in an array that it keeps.

        reused = ReusedBins(layout, dt_us=1_000)
        for chunk in recordings:
            bins, counts = reused.bin(chunk)

    The array grows to the longest recording. Recordings in disorder, with gaps, a mask or the bin
    mode `max` get arrays of their own.
    """

    def __init__(self, layout: BinLayout, dt_us: int) -> None:
        self._layout, self._dt_us = layout, dt_us
        self._rows: Bins = np.zeros((0, layout.inputs), np.float32)
        self._last: tuple[EventChunk, int, int] | None = None

    def bin(self, chunk: EventChunk) -> tuple[Bins, Counts]:
        """Return the bins of a recording, `(bins, inputs)`, and the counts.

        They are valid until the next are asked for, and until then the events of the chunk must
        stay as they are: they say what to clear. Nothing but entries with events may be written.

        Raises:
            InputError: the bins would not fit into memory.
        """
        layout, dt_us = self._layout, self._dt_us
        span = plain_span(chunk, layout, dt_us)
        if span is None:
            return bin_recording(chunk, layout, dt_us)
        self._clear()
        first, bins = span
        if bins > len(self._rows):
            self._rows = np.zeros((bins, layout.inputs), np.float32)
        self._last = chunk, first, bins
        return count_plain(chunk, layout, dt_us, first, self._rows[:bins])

    def _clear(self) -> None:
        if self._last is None:
            return
        chunk, first, bins = self._last
        self._last, rows = None, self._rows[:bins]
        if rows.size < len(chunk) * _ENTRIES_AN_EVENT:
            rows[:] = 0.0
        else:
            columns, places, _ = self._layout.arrays
            clear_events(events_of(chunk), first, self._dt_us, columns, places, rows)


@njit(cache=True, nogil=True, error_model="numpy")
def clear_events(
    events: Events, first_bin: int, dt_us: int, columns: Index, rows: Index, window: Bins
) -> None:  # pragma: no cover - compiled
    """Set the entries to 0 that `bin_events` has counted such events at.

    Events outside the sensor or the window are left out. Shapes: `window` `(bins, inputs)`, the
    first of them `first_bin`; else as in `bin_events`.
    """
    low = high = first_bin * dt_us
    width, height, row = columns.shape[0], rows.shape[0] >> 1, 0
    for i in range(size_of(events)):
        t, x, y, on = event_at(events, np.uint64(i))
        if x >= width or y >= height:
            continue
        # Events come in runs of one bin: they are divided once a run.
        if t < low or t >= high:
            row = t // dt_us - first_bin
            low = (first_bin + row) * dt_us
            high = low + dt_us
        if 0 <= row < window.shape[0]:
            window[row, columns[x] + rows[2 * np.int64(y) + np.int64(on)]] = np.float32(0.0)


def clear_events_numpy(
    events: Any, first_bin: int, dt_us: int, columns: Index, rows: Index, window: Bins
) -> None:
    """Do what `clear_events` does, for grid columns: its plain twin."""
    t_us, x, y, on = events
    row = t_us // dt_us - first_bin
    kept = (x < len(columns)) & (y < len(rows) // 2) & (row >= 0) & (row < len(window))
    window[row[kept], columns[x[kept]] + rows[2 * y[kept].astype(np.int64) + on[kept]]] = 0.0
