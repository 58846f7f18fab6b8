"""Readouts: how the outputs of many bins become the scores of a decision.

Each is one small class, a `Readout`, and one line in the registry. Bins of unequal length
count by their length: a bin of twice the time step is worth two.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import CheckpointError, ConfigError
from retempo.runtime.mean_kernel import (
    WEIGHT,
    WORTH,
    Memory,
    add_bin,
    new_memory,
    scores_of,
    totals_of,
)
from retempo.runtime.saved_state import Saved, taken_array, taken_float, taken_int, within

Scores = NDArray[np.float64]
Outputs = NDArray[np.float32]
_LONGEST_US = 1 << 40


class Readout(Protocol):
    """Makes scores of outputs; its state can be saved and taken back."""

    def __call__(self, y: Outputs, bin_us: int) -> Scores:
        """Return the scores after each of consecutive bins, `(bins, labels)`.

        Args:
            y: the outputs of the bins, `(bins, labels)`.
            bin_us: their length. How bins come together in a call changes nothing.
        """
        ...

    def save(self) -> Saved:
        """Return a copy of the state."""
        ...

    def load(self, saved: Saved, labels: int) -> None:
        """Go on where a saved readout stood.

        Raises:
            CheckpointError: it is the state of another readout.
        """
        ...


class _Bin:
    """The output of the bin alone."""

    __slots__ = ()

    def __init__(self, dt_us: int, span_us: int) -> None:
        del dt_us, span_us

    def __call__(self, y: Outputs, bin_us: int) -> Scores:
        del bin_us
        return y.astype(np.float64)

    def save(self) -> Saved:
        return {}

    def load(self, saved: Saved, labels: int) -> None:
        del saved, labels


class Mean:
    """The mean since the stream began: as the networks of arXiv 2411.04760 are read."""

    __slots__ = ("_dt_us", "_memory")

    def __init__(self, dt_us: int, span_us: int) -> None:
        del span_us
        self._dt_us = dt_us
        self._memory = new_memory(0)

    def memory(self, labels: int, bin_us: int) -> Memory:
        """Return what `mean_kernel.add_bin` goes on with: the next bin is of that length.

        It stays the same array from the first bin on, until a saved readout is loaded.
        """
        memory = self._memory
        if not memory[WEIGHT] and len(totals_of(memory)) != labels:
            memory = self._memory = new_memory(labels)
        memory[WORTH] = bin_us / self._dt_us
        return memory

    def __call__(self, y: Outputs, bin_us: int) -> Scores:
        """See `Readout`."""
        memory = self.memory(y.shape[1], bin_us)
        if len(y) == 1:
            # The one bin of a live stream, without the work that many take.
            add_bin(memory, y[0])
            return scores_of(memory)[np.newaxis].copy()
        worth, total = memory[WORTH], totals_of(memory)
        scores = y.astype(np.float64)
        if worth != 1.0:
            scores *= worth
        # One sum after the other: so they round as they do bin by bin.
        scores[0] += total
        np.cumsum(scores, axis=0, out=scores)
        total[:] = scores[-1]
        weights = memory[WEIGHT] + worth * np.arange(1, len(scores) + 1)[:, np.newaxis]
        memory[WEIGHT] += worth * len(scores)
        scores /= weights
        return scores

    def save(self) -> Saved:
        """See `Readout`."""
        weight = float(self._memory[WEIGHT])
        total = totals_of(self._memory) if weight else np.zeros(0)
        return {"total": total[np.newaxis].copy(), "weight": weight, "dt_us": self._dt_us}

    def load(self, saved: Saved, labels: int) -> None:
        """See `Readout`."""
        weight, dt_us = taken_float(saved, "weight"), taken_int(saved, "dt_us", 1)
        total = taken_array(saved, "total", np.float64, (1, labels if weight else None))
        self._memory = new_memory(total.shape[1])
        totals_of(self._memory)[:] = total[0]
        # Weights count in bins of the step that the stream began with.
        self._memory[WEIGHT], self._dt_us = weight, dt_us


class _Leaky:
    """Evidence that decays with the time constant `span_us`."""

    __slots__ = ("_evidence", "_span_us")

    def __init__(self, dt_us: int, span_us: int) -> None:
        del dt_us
        self._span_us = span_us
        # Of no label before the first bin.
        self._evidence: Scores = np.zeros(0)

    def __call__(self, y: Outputs, bin_us: int) -> Scores:
        keep = math.exp(-bin_us / self._span_us)
        scores = (1.0 - keep) * y.astype(np.float64)
        evidence: Scores | float = self._evidence if len(self._evidence) else 0.0
        for row in scores:
            row += keep * evidence
            evidence = row
        self._evidence = scores[-1].copy()
        return scores

    def save(self) -> Saved:
        return {"evidence": self._evidence.copy()}

    def load(self, saved: Saved, labels: int) -> None:
        evidence = taken_array(saved, "evidence", np.float64, (None,))
        if len(evidence) not in (0, labels):
            raise CheckpointError(f"the saved evidence is of {len(evidence)} labels, not {labels}")
        self._evidence = evidence.copy()


class _Window:
    """The mean over the last `span_us`, at least one bin; a bin half within it counts whole."""

    __slots__ = ("_held_us", "_seen", "_span_us")

    def __init__(self, dt_us: int, span_us: int) -> None:
        del dt_us
        self._span_us = span_us
        self._seen: deque[tuple[int, Scores]] = deque()
        self._held_us = 0

    def __call__(self, y: Outputs, bin_us: int) -> Scores:
        seen = self._seen
        scores = y.astype(np.float64)
        for row in scores:
            seen.append((bin_us, row.copy()))
            self._held_us += bin_us
            while len(seen) > 1 and self._held_us - seen[0][0] / 2 >= self._span_us:
                self._held_us -= seen.popleft()[0]
            row[:] = sum(length * each for length, each in seen) / self._held_us
        return scores

    def save(self) -> Saved:
        lengths = np.array([length for length, _ in self._seen], np.int64)
        rows = [row for _, row in self._seen]
        return {"lengths_us": lengths, "rows": np.stack(rows) if rows else np.zeros((0, 0))}

    def load(self, saved: Saved, labels: int) -> None:
        lengths = taken_array(saved, "lengths_us", np.int64, (None,))
        within(lengths, "lengths_us", 1, _LONGEST_US)
        size = len(lengths)
        rows = taken_array(saved, "rows", np.float64, (size, labels if size else 0))
        self._seen = deque(zip(lengths.tolist(), rows.copy(), strict=True))
        self._held_us = int(lengths.sum())


READOUTS: dict[str, Callable[[int, int], Readout]] = {
    "mean": Mean,
    "bin": _Bin,
    "leaky": _Leaky,
    "window": _Window,
}


def new_readout(kind: str, dt_us: int, span_us: int = 100_000) -> Readout:
    """Return a fresh readout: call it with `y` of the next bins and their length.

    Args:
        kind: a name in `READOUTS`.
        dt_us: length of a bin as the stream begins.
        span_us: the time constant of `leaky`, the length of `window`.

    Raises:
        ConfigError: the kind is unknown or the span is not positive.
    """
    if kind not in READOUTS:
        raise ConfigError(f"unknown readout {kind!r}; known are {', '.join(READOUTS)}")
    if span_us < 1:
        raise ConfigError(f"the span of a readout is at least 1 us, got {span_us}")
    return READOUTS[kind](dt_us, span_us)
