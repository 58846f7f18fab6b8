"""Events counted over time in a bounded number of bins, which widen as the recording does.

Bins lie at whole multiples of their width, and a width doubles by adding neighbours. So what is
counted depends on the events alone, never on their order or on how they are cut into chunks.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Times

Counts = NDArray[np.int64]
Rows = NDArray[Any]

BINS = 4_096
# Three doublings to a millisecond, so that the widths read well from there on.
FINEST_US = 125


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Event counts a bin of time and a row (a polarity, a column of pixels, a channel).

    Bin `k` is `[(first + k) bin_us, (first + k + 1) bin_us)`; `used` bins hold all events.
    `counts` may be written to by `count_times`, which returns what is carried on.

    Shapes: `counts` `(bins, rows)`. Units: us.
    """

    counts: Counts
    bin_us: int = FINEST_US
    first: int = 0
    used: int = 0

    @property
    def filled(self) -> Counts:
        """The counts of the bins in use, `(used, rows)`."""
        return self.counts[: self.used]

    @property
    def start_us(self) -> int:
        """Where the first bin in use begins."""
        return self.first * self.bin_us


def new_timeline(rows: int, bins: int = BINS) -> Timeline:
    """Return a timeline without events."""
    return Timeline(np.zeros((bins, rows), np.int64))


def count_times(timeline: Timeline, t_us: Times, row: Rows) -> Timeline:
    """Count events; writes to the timeline's array, and widens its bins where they do not reach.

    Shapes: `t_us` and `row` `(events,)`; every row is one of the timeline's.
    """
    if len(t_us) == 0:
        return timeline
    timeline = widened(timeline, int(t_us.min()), int(t_us.max()))
    _add(t_us, row, timeline.bin_us, timeline.first, timeline.counts)
    return timeline


def widened(timeline: Timeline, earliest_us: int, latest_us: int) -> Timeline:
    """Return a timeline with the finest bins that hold its events and the span given."""
    bins = len(timeline.counts)
    low, high = earliest_us // timeline.bin_us, latest_us // timeline.bin_us
    if timeline.used:
        low = min(low, timeline.first)
        high = max(high, timeline.first + timeline.used - 1)
    halvings = 0
    while (high >> halvings) - (low >> halvings) >= bins:
        halvings += 1
    return _folded(timeline, halvings, low >> halvings, high >> halvings)


def coarsened(timeline: Timeline, least_us: int) -> Timeline:
    """Return a timeline in bins of at least this width."""
    halvings = 0
    while timeline.bin_us << halvings < least_us:
        halvings += 1
    last = timeline.first + timeline.used - 1
    return _folded(timeline, halvings, timeline.first >> halvings, last >> halvings)


def _folded(timeline: Timeline, halvings: int, first: int, last: int) -> Timeline:
    counts = timeline.counts
    if timeline.used and (halvings or first != timeline.first):
        # As Python's numbers: a width may be beyond what a shift of 64 bits can do.
        places = [((timeline.first + k) >> halvings) - first for k in range(timeline.used)]
        counts = np.zeros_like(timeline.counts)
        np.add.at(counts, np.array(places), timeline.filled)
    return replace(
        timeline,
        counts=counts,
        bin_us=timeline.bin_us << halvings,
        first=first,
        used=last - first + 1,
    )


@njit(cache=True, nogil=True)
def _add(t_us: Times, row: Rows, bin_us: int, first: int, counts: Counts) -> None:
    low, high, place = 0, 0, 0
    for k in range(len(t_us)):
        # Most events share a bin with the one before: this saves the division.
        if not low <= t_us[k] < high:
            place = t_us[k] // bin_us - first
            low = (place + first) * bin_us
            high = low + bin_us
        counts[place, row[k]] += 1


def add_plainly(t_us: Times, row: Rows, bin_us: int, first: int, counts: Counts) -> None:
    """Do what the kernel of `count_times` does, in NumPy."""
    np.add.at(counts, (t_us // bin_us - first, row), 1)


def resampled(values: NDArray[Any], parts: int) -> NDArray[np.float64]:
    """Return values of equal bins as those of fewer or more bins, each value shared by overlap.

    Shapes: `(bins,)` to `(parts,)`; the sum stays.
    """
    edges = np.linspace(0.0, len(values), parts + 1)
    upto = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return np.diff(np.interp(edges, np.arange(len(values) + 1), upto))
