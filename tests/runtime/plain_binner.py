"""What binning means, an event at a time and with no window: the binners' plain twin."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.binner import SILENCE_US
from retempo.runtime.counters import Counters
from retempo.runtime.layout import BinLayout
from retempo.runtime.sparse_bins import Block, with_zeros
from retempo.sensors.events import EventChunk

Numbered = list[tuple[int, NDArray[np.float32]]]


def rows_of(blocks: Iterable[Block], inputs: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for block in blocks:
        rows = with_zeros(block.bins, inputs)
        assert 0 < len(rows) <= 256
        for k, row in enumerate(rows):
            listed = block.bins.inputs[block.bins.starts[k] : block.bins.starts[k + 1]]
            assert (np.diff(listed) > 0).all()
            assert np.count_nonzero(row) == len(listed)
            yield block.first + k, row


def plain_bins(
    chunks: Iterable[EventChunk],
    layout: BinLayout,
    dt_us: int,
    lateness_us: int = 0,
    silence_us: int = SILENCE_US,
) -> tuple[Numbered, Counters]:
    """Bins by bin mode `sum`, and the counters."""
    counters = Counters()
    patience, silence = -(-lateness_us // dt_us), -(-silence_us // dt_us)
    first: int | None = None
    latest: int | None = None
    begun = in_gap = False
    opened: dict[int, NDArray[np.float32]] = {}
    closed: Numbered = []

    def close_until(end: int) -> None:
        nonlocal first, begun, in_gap
        assert first is not None
        while first < end:
            if latest is None or first > latest + silence:
                counters.gaps += begun and not in_gap
                in_gap, first = True, end
                return
            begun = begun or first in opened
            if begun:
                closed.append((first, opened.pop(first, np.zeros(layout.inputs, np.float32))))
            first += 1

    for chunk in chunks:
        counters.lost += chunk.lost
        counters.received += len(chunk)
        assert chunk.x is not None
        assert chunk.y is not None
        assert chunk.on is not None
        columns = (chunk.t_us, chunk.x, chunk.y, chunk.on)
        for t, x, y, on in zip(*(column.tolist() for column in columns), strict=True):
            if x >= len(layout.columns) or y >= layout.height:
                counters.invalid += 1
                continue
            number = t // dt_us
            first = number - patience if first is None else first
            close_until(number - patience)
            if number < first:
                counters.late += 1
            elif layout.mask.size and layout.mask[y, x]:
                counters.masked += 1
            else:
                counters.binned += 1
                row = opened.setdefault(number, np.zeros(layout.inputs, np.float32))
                row[layout.columns[x] + layout.rows[2 * y + on]] += 1
                latest = number if latest is None else max(latest, number)
                in_gap = False
        if first is not None:
            close_until(chunk.t_end_us // dt_us - patience)
    if latest is not None:
        close_until(latest + 1)
    return closed, counters
