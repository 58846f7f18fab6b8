"""Statistics of a network's sensor-fed layer on unlabelled recordings, in one pass.

Mean and variance of `z = W x` over all bins, by the update of Chan, Golub and LeVeque (1979) a
block of bins at a time, in float64: memory does not grow with the recordings.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.connections import product
from retempo.exporters.description import connection_of, norm_of
from retempo.exporters.errors import AdaptationError
from retempo.exporters.network import Network
from retempo.exporters.statistics import Statistics, replace_statistics
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.layout import BinLayout, layout_of
from retempo.runtime.rows import RowBinner
from retempo.sensors.events import EventChunk

# Fewer tell less of a mean than any rule that needs no recording.
FEWEST_BINS = 100
_BLOCK = 256

Rows = NDArray[np.float64]


class Moments:
    """Running mean and variance of vectors."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean: Rows = np.zeros(size)
        self._squares: Rows = np.zeros(size)

    def add(self, rows: Rows) -> None:
        """Take more vectors, `(rows, size)`."""
        added = len(rows)
        if not added:
            return
        mean = rows.mean(axis=0)
        apart = mean - self.mean
        total = self.count + added
        self._squares += ((rows - mean) ** 2).sum(axis=0)
        self._squares += apart**2 * (self.count * added / total)
        self.mean += apart * (added / total)
        self.count = total

    @property
    def variance(self) -> Rows:
        """The mean squared distance from the mean, `(size,)`."""
        return self._squares / max(self.count, 1)


def measure(network: Network, recordings: Iterable[Iterable[EventChunk]], dt_us: int) -> Statistics:
    """Measure what the rule `measured` takes, at the time step `dt_us`; labels are not needed.

    They are the same for every method: whatever share of its bin an inner step sees, the norm of
    that share by the statistics of that share is the norm of the bin by those of the bin.

    Args:
        network: weights and description; `exporters.step_model.network_of` has a model's.
        recordings: the chunks of each recording; a source is such.
        dt_us: the target time step.

    Raises:
        InputError: the recordings are fewer than `FEWEST_BINS` bins, or a neuron's input never
            varies in them.
    """
    first = network.spec.layers[0]
    layout, connection = layout_of(network.spec.input), connection_of(first)
    weights = network.weights[f"{first.name}.W"].astype(np.float64)
    moments = Moments(first.neurons)
    for block in _blocks(recordings, layout, dt_us):
        moments.add(np.asarray(product(connection, weights, block), np.float64))
    if moments.count < FEWEST_BINS:
        raise InputError(
            f"the unlabelled recordings are {moments.count} bins of {dt_us} us, expected at least "
            f"{FEWEST_BINS} to measure by; give more of them, or use --normalisation paper"
        )
    found = Statistics(dt_us, moments.count, moments.mean.tolist(), moments.variance.tolist())
    try:
        replace_statistics(norm_of(first), found, dt_us, first.name)
    except AdaptationError as error:
        raise InputError(str(error)) from error
    return found


def _blocks(
    recordings: Iterable[Iterable[EventChunk]], layout: BinLayout, dt_us: int
) -> Iterator[Rows]:
    """Yield the bins of all recordings, `(bins, inputs)`, each valid until the next."""
    block, filled = np.zeros((_BLOCK, layout.inputs)), 0
    for chunks in recordings:
        for rows in _bins(chunks, layout, dt_us):
            begin = 0
            while begin < len(rows):
                taken = min(_BLOCK - filled, len(rows) - begin)
                block[filled : filled + taken] = rows[begin : begin + taken]
                begin, filled = begin + taken, filled + taken
                if filled == _BLOCK:
                    yield block
                    filled = 0
    yield block[:filled]


def _bins(
    chunks: Iterable[EventChunk], layout: BinLayout, dt_us: int
) -> Iterator[NDArray[np.float32]]:
    binner = RowBinner(layout, dt_us, Counters())
    for chunk in chunks:
        for _, rows in binner.feed(chunk):
            yield rows
    for _, rows in binner.finish():
        yield rows
