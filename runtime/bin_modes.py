"""From counted events to the inputs of a bin, by the bin mode of a network's input.

The kernel counts; what a count means is said here once, for streams and recordings alike. `max`
needs the counts of each unit of a bin, so its window has `parts` rows a bin instead of one.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.description import InputSpec
from retempo.runtime.errors import InputError

# What the units of the open bins of a stream may take.
_MOST_BYTES = 1 << 30


class Cut(NamedTuple):
    """How time is cut: `parts` rows a bin, one for each unit of `unit_us` that a bin can touch.

    `unit_us` is None where that is one.
    """

    dt_us: int
    parts: int
    unit_us: int | None


def cut_of(spec: InputSpec, dt_us: int, opened: int = 1) -> Cut:
    """Return how bins of `dt_us` are counted, `opened` of them at a time.

    Raises:
        InputError: the units of the open bins would not fit into memory.
    """
    if spec.bin_mode != "max":
        return Cut(dt_us, 1, None)
    unit_us = spec.bin_unit_us
    # A bin begins at any multiple of the common divisor after the edge of a unit.
    parts = -(-(unit_us - math.gcd(dt_us, unit_us) + dt_us) // unit_us)
    if parts > 1 and opened * parts * spec.size * 4 > _MOST_BYTES:
        raise InputError(
            f"bin mode max counts {parts:,} units of {unit_us} us in each of {opened:,} open bins "
            f"of {dt_us} us for {spec.size:,} inputs, which does not fit; take a shorter dt or "
            "lateness, or train with a longer bin_unit"
        )
    return Cut(dt_us, parts, unit_us if parts > 1 else None)


def inputs_of(counts: NDArray[np.float32], spec: InputSpec, dt_us: int) -> NDArray[np.float32]:
    """Return the inputs of counted bins; the counts may be overwritten by them.

    Shapes: `counts` `(bins, parts, inputs)`, the result `(bins, inputs)`.
    """
    if spec.bin_mode == "max":
        return np.asarray(counts.max(axis=1), np.float32)
    bins = counts[:, 0]
    if spec.bin_mode == "binary":
        np.minimum(bins, np.float32(1.0), out=bins)
    elif spec.bin_mode == "mean":
        np.divide(bins, np.float32(dt_us / spec.bin_unit_us), out=bins)
    return bins
