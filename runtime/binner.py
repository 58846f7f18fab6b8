"""Bins of a stream: chunks in, closed bins out, every event accounted for."""

from collections.abc import Iterator

import numpy as np

from retempo.runtime.bin_modes import cut_of, inputs_of
from retempo.runtime.binning import (
    BINNED,
    INVALID,
    LATE,
    LATEST,
    MASKED,
    BinLayout,
    Bins,
    Columns,
    bin_events,
    columns_of,
    inside,
    new_counts,
)
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.sparse_bins import Block, without_zeros
from retempo.sensors.events import EventChunk

# Longer than any silence worth stepping: by then every state has come to rest.
SILENCE_US = 600_000_000


class Binner:
    """Cuts one stream into bins of event time.

    The first bin is that of the first binned event. A bin closes when the watermark, the latest
    time that the stream has reached, passes its end plus the lateness, rounded up to whole bins.
    An event before the oldest open bin is late: counted, never binned into the past. Silence is
    closed bin by bin for `silence_us` after the last event; what is longer is a gap, counted and
    left out. So the bins do not depend on how the stream is cut into chunks, and no message costs
    an unbounded number of them.
    """

    def __init__(
        self,
        layout: BinLayout,
        dt_us: int,
        counters: Counters,
        lateness_us: int = 0,
        silence_us: int = SILENCE_US,
    ) -> None:
        if dt_us < 1 or lateness_us < 0 or silence_us < 0:
            raise InputError(
                "dt_us must be 1 or more, lateness_us and silence_us 0 or more; "
                f"got {dt_us}, {lateness_us}, {silence_us}"
            )
        self.dt_us = dt_us
        self._layout = layout
        self._counters = counters
        self._patience = -(-lateness_us // dt_us)
        self._silence = -(-silence_us // dt_us)
        self._opened = self._patience + 1
        self._cut = cut_of(layout.spec, dt_us, self._opened)
        rows = self._opened * self._cut.parts
        self._window: Bins = np.zeros((rows, layout.inputs), np.float32)
        self._rows = self._window.reshape(self._opened, self._cut.parts, layout.inputs)
        self._counted = layout.spec.bin_mode == "sum"
        self._counts = new_counts()
        self._head = 0
        self._first: int | None = None
        self._begun = False
        self._in_gap = False

    def feed(self, chunk):
        for number, row in self.feed_rows(chunk):
            yield Block(number, self.dt_us, without_zeros(row[np.newaxis]))

    def finish(self):
        for number, row in self.finish_rows():
            yield Block(number, self.dt_us, without_zeros(row[np.newaxis]))

    def gather(self, n):
        raise NotImplementedError

    def feed_rows(self, chunk: EventChunk) -> Iterator[tuple[int, Bins]]:
        """Yield each bin that the chunk closes, as its number and its row `(inputs,)`.

        A row is valid until the next one is asked for. If the iterator is left before its end, the
        events that it had not reached are not received.
        """
        self._counters.lost += chunk.lost
        columns = columns_of(chunk)
        position, events = 0, len(chunk)
        if self._first is None:
            position = self._start(columns)
        while position < events:
            position = self._add(columns, position)
            if position < events:
                yield from self._close_until(int(columns.t_us[position]))
        if self._first is not None:
            yield from self._close_until(chunk.t_end_us)

    def finish_rows(self) -> Iterator[tuple[int, Bins]]:
        """Yield what is still open, up to the bin of the last binned event."""
        while self._first is not None and self._first <= self._latest:
            yield from self._close()

    @property
    def _latest(self) -> int:
        return int(self._counts[LATEST])

    def _close_until(self, watermark_us: int) -> Iterator[tuple[int, Bins]]:
        assert self._first is not None  # noqa: S101  (feed has started it)
        end = watermark_us // self.dt_us - self._patience
        # A gap begins where the silence after the last event has been stepped, or at once if there
        # has been no event yet; the window is empty there, so it is moved as it is.
        gap = self._latest + 1 + self._silence if self._counters.binned else self._first
        while self._first < min(end, gap):
            yield from self._close()
        if self._first < end:
            self._counters.gaps += self._begun and not self._in_gap
            self._in_gap = True
            self._first = end

    def _close(self) -> Iterator[tuple[int, Bins]]:
        """Yield the oldest open bin and open the one after the youngest."""
        assert self._first is not None  # noqa: S101  (feed has started it)
        rows = self._rows[self._head]
        # Before the first binned event there is nothing to step: the stream has not begun.
        self._begun = self._begun or bool(rows.any())
        try:
            if self._begun:
                yield self._first, rows[0] if self._counted else self._inputs_of(rows)
        finally:
            rows[:] = 0.0
            self._head = (self._head + 1) % self._opened
            self._first += 1

    def _inputs_of(self, rows: Bins) -> Bins:
        inputs: Bins = inputs_of(rows[np.newaxis], self._layout.spec, self.dt_us)[0]
        return inputs

    def _start(self, columns: Columns) -> int:
        """Place the window at the first event on the sensor; count what comes before it."""
        on_sensor = inside(columns, self._layout)
        start = int(on_sensor.argmax()) if on_sensor.any() else len(on_sensor)
        self._counters.received += start
        self._counters.invalid += start
        if start < len(on_sensor):
            self._first = int(columns.t_us[start]) // self.dt_us - self._patience
        return start

    def _add(self, columns: Columns, position: int) -> int:
        assert self._first is not None  # noqa: S101  (feed has started it)
        counts, counters = self._counts, self._counters
        counts[:LATEST] = 0
        end: int = bin_events(
            *columns,
            position,
            self._first,
            self._head,
            self.dt_us,
            self._cut.parts,
            self._cut.unit_us,
            *self._layout.arrays,
            self._window,
            counts,
        )
        counters.received += end - position
        counters.binned += int(counts[BINNED])
        counters.late += int(counts[LATE])
        counters.invalid += int(counts[INVALID])
        counters.masked += int(counts[MASKED])
        self._in_gap = self._in_gap and not counts[BINNED]
        return end
