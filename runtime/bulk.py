"""Bulk replay: whole recordings through an engine, a batch at a time."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.binning import BinLayout, Bins
from retempo.runtime.engine import Engine
from retempo.runtime.readouts import new_readout
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk


def decide_recordings(
    engine: Engine,
    layout: BinLayout,
    recordings: Sequence[EventChunk],
    batch: int = 1,
    bins_of: Callable[[EventChunk], Bins] | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Yield the final scores of each recording under the mean readout, `(labels,)`.

    With a batch of 1 they are bit for bit those of `runtime.pipeline`. A larger batch is faster;
    its matrix products round otherwise, so a potential within rounding of the threshold may differ.
    A recording without a binned event, or one that drives the network out of the finite numbers,
    has scores of NaN. `bins_of` makes the rows that are stepped, by the layout if None.
    """
    dt_us = engine.resolution.dt_us
    for begin in range(0, len(recordings), batch):
        part = recordings[begin : begin + batch]
        if bins_of is None:
            bins = [bin_recording(chunk, layout, dt_us)[0] for chunk in part]
        else:
            bins = [bins_of(chunk) for chunk in part]
        yield from _decide_batch(engine, bins)


def _decide_batch(engine: Engine, bins: Sequence[Bins]) -> list[NDArray[np.float64]]:
    labels = len(engine.model.contract.network.labels)
    scores = [np.full(labels, np.nan) for _ in bins]
    state = engine.new_state(len(bins))
    readout = new_readout("mean", engine.resolution.dt_us)
    for step in range(max(len(rows) for rows in bins)):
        for stream, rows in enumerate(bins):
            state.x[stream] = rows[step] if step < len(rows) else 0.0
        mean = readout(engine.step(state))
        ended = [stream for stream, rows in enumerate(bins) if step == len(rows) - 1]
        if ended:
            finite = engine.finite(state)
            for stream in ended:
                if finite[stream]:
                    scores[stream] = mean[stream].copy()
    return scores
