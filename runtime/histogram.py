"""How long things took, in fixed buckets: a few integers, however many there were."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

# Upper bounds, inclusive; one more bucket holds what took longer.
BOUNDS_US = (
    *(5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000),
    *(200_000, 1_000_000),
)


@dataclass(slots=True)
class Histogram:
    """Counts of durations, a bucket each, and their sum in microseconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_US) + 1))
    sum_us: float = 0.0

    def add(self, took_us: float, n: int = 1) -> None:
        """Count `n` that took so long each."""
        self.counts[bisect_left(BOUNDS_US, took_us)] += n
        self.sum_us += took_us * n

    def merge(self, other: "Histogram") -> None:
        """Count all that another has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.sum_us += other.sum_us

    def copy(self) -> "Histogram":
        """Return one that does not change with this."""
        return Histogram(list(self.counts), self.sum_us)


def quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float | None:
    """Return the value below which a share `q` lies, as far as buckets tell; None for no values.

    Within a bucket values are taken to lie evenly. Of the last, which is open, the lower bound is
    returned.

    Args:
        bounds: upper bounds, ascending, the last bucket's left out.
        counts: of each bucket, `len(bounds) + 1`.
        q: from 0 to 1.
    """
    total = sum(counts)
    if not total:
        return None
    rank, below, low = q * total, 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return low + (bound - low) * max(0.0, rank - below) / count
        below += count
        low = bound
    return low
