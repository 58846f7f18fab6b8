"""The last spikes of all layers of a state: what its feedback still waits to hear."""

import math

import numpy as np

from retempo.runtime.engine import Vector


class SpikeRing:
    """The spikes of the last `lag` inner steps, rounded up, one row a step.

    The next step hears the oldest row and its own spikes take the row's place. A lag between two
    whole steps hears the two oldest rows, weighted.

    Shape: `rows` `(ceil(lag), width)`, in the order in which they are heard from `oldest` on, round
    the end.
    """

    __slots__ = ("_last", "_newer", "_scratch", "oldest", "rows")

    def __init__(self, rows: Vector, lag: float) -> None:
        self.rows = rows
        self.oldest = 0
        self._last = len(rows) - 1
        # What the second oldest row weighs; 0 where the lag is whole.
        self._newer = np.float32(math.ceil(lag) - lag)
        self._scratch = np.empty(rows.shape[1] if self._newer else 0, np.float32)

    def hear(self, heard: Vector) -> Vector:
        """Write what the next step hears; returns the row that its spikes shall be written to."""
        oldest = self.oldest
        row: Vector = self.rows[oldest]
        self.oldest = after = oldest + 1 if oldest < self._last else 0
        if self._newer:
            np.multiply(row, np.float32(1.0) - self._newer, out=heard)
            np.multiply(self.rows[after], self._newer, out=self._scratch)
            np.add(heard, self._scratch, out=heard)
        else:
            heard[:] = row
        return row

    def oldest_first(self, count: int) -> Vector:
        """Return a copy of the `count` oldest rows, in the order in which they are heard."""
        end = self.oldest + count
        head = self.rows[self.oldest : end]
        return np.concatenate((head, self.rows[: max(0, end - len(self.rows))]))

    def newest_first(self) -> Vector:
        """Return a copy of all rows, that of the last step first."""
        return self.oldest_first(len(self.rows))[::-1]

    def extend(self, rows: Vector) -> None:
        """Keep the spikes of several steps, at most as many as there are rows, oldest first."""
        head = min(len(rows), len(self.rows) - self.oldest)
        self.rows[self.oldest : self.oldest + head] = rows[:head]
        self.rows[: len(rows) - head] = rows[head:]
        self.oldest = (self.oldest + len(rows)) % len(self.rows)


def new_ring(lag: float, width: int) -> SpikeRing:
    """Return the ring of neurons that have not fired."""
    return SpikeRing(np.zeros((math.ceil(lag), width), np.float32), lag)


def moved_ring(ring: SpikeRing, ages: list[int], lag: float) -> SpikeRing:
    """Return the ring of another lag, in which the spikes of age `a` have the age `ages[a - 1]`.

    Rows that meet are added, see `runtime.engines.history.moved_ages`.
    """
    moved = new_ring(lag, ring.rows.shape[1])
    for before, after in enumerate(ages, 1):
        # The newest row of a ring whose oldest is its first is its last.
        row = moved.rows[len(moved.rows) - after]
        np.add(row, ring.rows[(ring.oldest - before) % len(ring.rows)], out=row)
    return moved
