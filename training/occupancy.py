"""How full the bins of an active input are: what normalising a saturating bin mode needs."""

import math

from retempo.runtime.binning import BINNED
from retempo.runtime.reused_bins import ReusedBins
from retempo.training.batches import BinPlan
from retempo.training.datasets import Dataset

# Neither never nor always: the law that follows from it would have no scale.
_LEAST = 1e-6


def occupancy(dataset: Dataset, plan: BinPlan) -> float:
    """Return the share `p` of an active input's bins that are not 0, while it is active.

    Events that come at random while an input is active fill a share `p` of its bins with
    `-ln(1 - p) / p` events each. So `p` follows from the events and the inputs that they add up
    to, and an input's silence between its bursts does not count. Labels are not looked at.
    """
    events, inputs = 0, 0.0
    reused = ReusedBins(plan.layout, plan.dt_us)
    for index in range(len(dataset)):
        rows, counts = reused.bin(dataset[index].events)
        events += int(counts[BINNED])
        inputs += float(rows.sum(dtype=float))
    return _share(events / inputs if inputs else 1.0)


def _share(events_a_bin: float) -> float:
    """Solve `-ln(1 - p) / p = events_a_bin` for p, by halves: the left side grows with p."""
    low, high = _LEAST, 1.0 - _LEAST
    for _ in range(60):
        middle = (low + high) / 2.0
        if -math.log1p(-middle) / middle < events_a_bin:
            low = middle
        else:
            high = middle
    return low
