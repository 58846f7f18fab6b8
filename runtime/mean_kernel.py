"""The mean of a stream's outputs, bin by bin: the readout of every live decision.

Its memory is one array, so that compiled code can go on with it: what a bin counts, the weight and
the totals of all bins so far, and the scores behind the last one.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Memory = NDArray[np.float64]

WORTH, WEIGHT, TOTALS = 0, 1, 2


def new_memory(labels: int) -> Memory:
    """Return the memory of no bins, `(2 + 2 labels,)`."""
    return np.zeros(TOTALS + 2 * labels)


def totals_of(memory: Memory) -> Memory:
    """Return the totals, `(labels,)`, a view."""
    return memory[TOTALS : (TOTALS + len(memory)) // 2]


def scores_of(memory: Memory) -> Memory:
    """Return the scores behind the last bin, `(labels,)`, a view."""
    return memory[(TOTALS + len(memory)) // 2 :]


@njit(cache=True, nogil=True, error_model="numpy")
def add_bin(memory: Memory, y: NDArray[np.float32]) -> int:  # pragma: no cover - compiled
    """Add a bin to the mean; returns the label of the highest score, as `argmax` does.

    NumPy takes 2 us for these ten numbers. Shapes: `y` `(labels,)`.
    """
    labels, best = len(y), 0
    scores = TOTALS + labels
    memory[WEIGHT] += memory[WORTH]
    for k in range(labels):
        memory[TOTALS + k] += memory[WORTH] * np.float64(y[k])
        memory[scores + k] = memory[TOTALS + k] / memory[WEIGHT]
        highest = memory[scores + best]
        # What is no number is the highest of all, the first of them.
        if highest == highest and not memory[scores + k] <= highest:
            best = k
    return best


def add_bin_numpy(memory: Memory, y: NDArray[np.float32]) -> int:
    """Do what `add_bin` does: its plain twin."""
    memory[WEIGHT] += memory[WORTH]
    totals, scores = totals_of(memory), scores_of(memory)
    totals += memory[WORTH] * y.astype(np.float64)
    scores[:] = totals / memory[WEIGHT]
    return int(scores.argmax())
