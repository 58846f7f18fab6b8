"""The kernel of `runtime.binning` in plain NumPy: its twin in the tests."""

import numpy as np

from retempo.runtime.binning import (
    BINNED,
    CROWDED,
    INVALID,
    LATE,
    LATEST,
    MASKED,
    NO_BIN,
    OLDEST,
    Counts,
    Words,
)
from retempo.runtime.bits import WORD
from retempo.runtime.kernel_events import Events
from retempo.runtime.layout import Bins, Index, Mask


def bin_events_numpy(
    events: Events,
    begin: int,
    first_bin: int,
    head: int,
    dt_us: int,
    parts: int,
    unit_us: int,
    patience: int,
    silence: int,
    columns: Index,
    rows: Index,
    mask: Mask,
    window: Bins,
    active: Words | None,
    filled: Counts,
    counts: Counts,
) -> int:
    """Do what `bin_events` does, for grid columns."""
    t_us, x, y, on = (column[begin:] for column in events)
    inside = (x < len(columns)) & (y < len(rows) // 2)
    bins = t_us // dt_us
    hidden = np.zeros(len(bins), np.bool_)
    if mask.size:
        hidden[inside] = mask[y[inside], x[inside]]
    oldest = _reached(inside, bins - patience, max(first_bin, int(counts[OLDEST])))
    late = inside & (bins < oldest)
    kept = inside & ~late & ~hidden
    latest = _reached(kept, bins, int(counts[LATEST]))
    before = np.concatenate([[counts[LATEST]], latest[:-1]])
    lost = (before != NO_BIN) & (bins - patience > np.maximum(before + 1 + silence, first_bin))
    stop = inside & ((bins >= first_bin + len(filled)) | lost)
    n = int(stop.argmax()) if stop.any() else len(stop)
    placed = (inside & ~late)[:n]
    bins, times, hidden = bins[:n][placed], t_us[:n][placed], hidden[:n][placed]
    unit = times // unit_us - bins * dt_us // unit_us if parts > 1 else 0
    slots = (head + bins - first_bin) % len(filled)
    address = columns[x[:n][placed]] + rows[2 * y[:n][placed].astype(np.int64) + on[:n][placed]]
    np.add.at(window, (slots * parts + unit, address), ~hidden)
    if active is not None:
        # An event's place among those of its bin.
        earlier = [(slots[:i] == slots[i])[~hidden[:i]].sum() for i in range(len(slots))]
        place = filled[slots] + np.array(earlier, np.int64)
        marked = ~hidden & (place < window.shape[1] // CROWDED)
        bits = marked.astype(np.uint64) << (address % WORD).astype(np.uint64)
        np.bitwise_or.at(active, (slots * parts + unit, address // WORD), bits)
    np.add.at(filled, slots, ~hidden)
    counts[BINNED] += (~hidden).sum()
    counts[MASKED] += hidden.sum()
    counts[LATE] += late[:n].sum()
    counts[INVALID] += (~inside[:n]).sum()
    counts[LATEST] = latest[n - 1] if n else counts[LATEST]
    counts[OLDEST] = oldest[n - 1] if n else max(first_bin, int(counts[OLDEST]))
    return begin + n


def _reached(chosen: Mask, values: Counts, at_first: int) -> Counts:
    """The highest of the chosen values so far, at each place."""
    return np.maximum.accumulate(np.where(chosen, np.maximum(values, at_first), at_first))
