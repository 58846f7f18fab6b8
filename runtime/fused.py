"""Raw EVT bytes straight to bins: decoded, downsampled and counted block by block in the cache.

The bins and counters are those of `runtime.binner.Binner` on the decoded events, without columns of
events in between and several times as fast. Closed bins come as dense rows, many at a time.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from retempo.runtime.bin_modes import cut_of, inputs_of
from retempo.runtime.binner import SILENCE_US
from retempo.runtime.binning import (
    BINNED,
    INVALID,
    LATE,
    LATEST,
    MASKED,
    NO_BIN,
    OLDEST,
    BinLayout,
    Bins,
    bin_packed,
    new_counts,
)
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.sensors.evt import Packed, columns_of_packed
from retempo.sensors.evt.packed import TIME_AT
from retempo.sensors.files.evt import packed_events
from retempo.sensors.problems import Policy

# What the open bins may take, so that they stay in the cache of a core.
WINDOW_BYTES = 1 << 19


def bin_evt_file(
    path: str | Path,
    layout: BinLayout,
    dt_us: int,
    counters: Counters | None = None,
    policy: Policy = "raise",
) -> Iterator[tuple[int, Bins]]:
    """Bin an EVT2, EVT2.1 or EVT3 file; see `bin_blocks`.

        spec = InputSpec(GridSpec(1280, 720, 2), downsample=20)
        for first_bin, rows in bin_evt_file("recording.raw", layout_of(spec), dt_us=1_000):
            ...

    Args:
        path: the file.
        layout: how addresses map to inputs, see `layout_of`; other addresses count as invalid.
        dt_us: the time step.
        counters: counts where the events went, if given.
        policy: what follows from damage, see `sensors.files.Recording`.

    Raises:
        RecordingError: the file is no readable EVT file, or damaged and the policy is `raise`.
    """
    blocks = packed_events(Path(path), policy)
    return bin_blocks(blocks, layout, dt_us, counters if counters is not None else Counters())


def bin_blocks(
    blocks: Iterable[Packed],
    layout: BinLayout,
    dt_us: int,
    counters: Counters,
    lateness_us: int = 0,
    silence_us: int = SILENCE_US,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[tuple[int, Bins]]:
    """Bin packed events; yield closed bins as the number of the first and rows `(bins, inputs)`.

    Every bin from the first event's to the last one's is yielded in its order, empty ones too, but
    for gaps: see `runtime.binner.Binner`. Time moves by events on the sensor alone. Rows are valid
    until the next are asked for.

    Args:
        blocks: from `sensors.files.evt.packed_events` or `sensors.evt.packed_pieces`.
        layout: how addresses map to inputs.
        dt_us: the time step.
        counters: counts where the events went.
        lateness_us: how long a bin waits for events out of order.
        silence_us: how long silence is yielded as empty bins.
        window_bytes: about what the open bins may take.
    """
    if dt_us < 1 or lateness_us < 0 or silence_us < 0:
        raise InputError(
            "dt_us must be 1 or more, lateness_us and silence_us 0 or more; "
            f"got {dt_us}, {lateness_us}, {silence_us}"
        )
    window = _Window(layout, dt_us, counters, lateness_us, silence_us, window_bytes)
    for block in blocks:
        yield from window.add(block)
    yield from window.finish()


class _Window:
    """The open bins of one stream, a row or several each, and what has come of its events."""

    def __init__(
        self,
        layout: BinLayout,
        dt_us: int,
        counters: Counters,
        lateness_us: int,
        silence_us: int,
        window_bytes: int,
    ) -> None:
        self._layout, self._dt_us, self._counters = layout, dt_us, counters
        self._patience = -(-lateness_us // dt_us)
        self._silence = -(-silence_us // dt_us)
        parts = cut_of(layout.spec, dt_us).parts
        more = max(window_bytes // (layout.inputs * parts * 4), 1)
        self._opened = self._patience + more
        self._cut = cut_of(layout.spec, dt_us, self._opened)
        self._rows: Bins = np.zeros((self._opened, parts, layout.inputs), np.float32)
        self._counts = new_counts()
        self._first: int | None = None
        self._begun = self._in_gap = False

    def add(self, block: Packed) -> Iterator[tuple[int, Bins]]:
        """Bin a block of events; yield the bins that it closes."""
        position = self._start(block) if self._first is None else 0
        while position < len(block.words):
            position = self._add(block, position)
            if position < len(block.words):
                time_us = block.base_us + int(block.words[position] >> TIME_AT)
                yield from self._close_until(time_us // self._dt_us - self._patience)

    def finish(self) -> Iterator[tuple[int, Bins]]:
        """Yield what is still open, up to the bin of the last binned event."""
        if self._first is not None:
            yield from self._close_until(max(int(self._counts[OLDEST]), self._first))
            yield from self._yielded(max(int(self._counts[LATEST]) + 1, self._first))

    def _start(self, block: Packed) -> int:
        """Place the window at the first event on the sensor; count what comes before it."""
        columns, layout = columns_of_packed(block), self._layout
        on_sensor = (columns.x < len(layout.columns)) & (columns.y < len(layout.rows))
        start = int(on_sensor.argmax()) if on_sensor.any() else len(on_sensor)
        self._counters.received += start
        self._counters.invalid += start
        if start < len(on_sensor):
            self._first = int(columns.t_us[start]) // self._dt_us - self._patience
        return start

    def _add(self, block: Packed, position: int) -> int:
        assert self._first is not None  # noqa: S101  (_start has placed it)
        counts, counters, cut = self._counts, self._counters, self._cut
        counts[:LATEST] = 0
        columns, rows, plane, mask = self._layout.arrays
        end: int = bin_packed(
            block.words,
            block.base_us,
            position,
            self._first,
            self._dt_us,
            cut.parts,
            cut.unit_us,
            self._patience,
            self._silence,
            columns,
            rows,
            plane,
            mask,
            self._rows.reshape(-1, self._layout.inputs),
            counts,
        )
        counters.received += end - position
        counters.binned += int(counts[BINNED])
        counters.late += int(counts[LATE])
        counters.invalid += int(counts[INVALID])
        counters.masked += int(counts[MASKED])
        self._in_gap = self._in_gap and not counts[BINNED]
        return end

    def _close_until(self, end: int) -> Iterator[tuple[int, Bins]]:
        """Yield the bins before `end`, as far as silence is yielded."""
        assert self._first is not None  # noqa: S101  (_start has placed it)
        latest = int(self._counts[LATEST])
        gap = self._first if latest == NO_BIN else latest + 1 + self._silence
        yield from self._yielded(min(end, gap))
        if self._first < end:
            self._counters.gaps += self._begun and not self._in_gap
            self._in_gap = True
            self._first = end

    def _yielded(self, end: int) -> Iterator[tuple[int, Bins]]:
        """Yield the bins before `end`; the window moves on over them."""
        assert self._first is not None  # noqa: S101  (_start has placed it)
        while self._first < end:
            bins = min(end - self._first, self._opened)
            # Before the first binned event there is nothing to step: the stream has not begun.
            begin = 0 if self._begun else _first_filled(self._rows[:bins])
            self._begun = self._begun or begin < bins
            if begin < bins:
                rows = self._rows[begin:bins]
                yield self._first + begin, inputs_of(rows, self._layout.spec, self._dt_us)
            if bins < self._opened:
                self._rows[: self._opened - bins] = self._rows[bins:].copy()
            self._rows[self._opened - bins :] = 0.0
            self._first += bins


def _first_filled(rows: Bins) -> int:
    filled = rows.any(axis=(1, 2))
    return int(filled.argmax()) if filled.any() else len(rows)
