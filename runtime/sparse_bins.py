"""Bins without their zeros: what a binner hands to an engine."""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

Bins = NDArray[np.float32]
Starts = NDArray[np.int64]
Index = NDArray[np.int32]


class SparseBins(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Consecutive bins of one stream, without their zeros.

    Bin `k` holds `values[j]` at the input `inputs[j]` for `j` from `starts[k]` to `starts[k + 1]`.
    Most inputs of most bins are zero, the more so the finer they are. Within a bin the inputs
    ascend, so that sums over them round alike whoever made the bins.

    Shapes: `starts` `(bins + 1,)`; `inputs` and `values` `(entries,)`.
    """

    starts: Starts
    inputs: Index
    values: Bins

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, begin: int, end: int) -> "SparseBins":
        """Return the bins from `begin` on and before `end`."""
        starts = self.starts[begin : end + 1]
        entries = slice(int(starts[0]), int(starts[-1]))
        return SparseBins(starts - starts[0], self.inputs[entries], self.values[entries])


NO_BINS = SparseBins(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


class Block(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Closed bins `first`, `first + 1`, ... of `dt_us` each: bin `k` is `[k dt_us, (k + 1) dt_us)`.

    Valid until the next block of its binner is asked for. `more` is False where it is known that
    its chunk closes no other. `y` are the outputs of a block that was stepped as it was closed, see
    `runtime.direct`, which took `took_us`; nobody needs its `bins` any more, so they are `NO_BINS`.

    Shapes: `y` `(bins, labels)`.
    """

    first: int
    dt_us: int
    bins: SparseBins
    more: bool = True
    y: NDArray[np.float32] | None = None
    took_us: float = 0.0


def without_zeros(rows: Bins) -> SparseBins:
    """Return bins of the shape `(bins, inputs)` without their zeros."""
    bins, inputs = np.nonzero(rows)
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(bins, minlength=len(rows)), out=starts[1:])
    return SparseBins(starts, inputs.astype(np.int32), rows[bins, inputs])


def with_zeros(bins: SparseBins, inputs: int) -> Bins:
    """Return bins as rows, `(bins, inputs)`."""
    rows = np.zeros((len(bins), inputs), np.float32)
    rows[np.repeat(np.arange(len(bins)), np.diff(bins.starts)), bins.inputs] = bins.values
    return rows


def followed(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks behind which something is still to be done, so that the next is asked for."""
    for block in blocks:
        yield msgspec.structs.replace(block, more=True)
