"""Bulk replay: whole recordings through an engine, a batch at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.runtime.engine import Engine
from retempo.runtime.layout import BinLayout
from retempo.runtime.readouts import Scores, new_readout
from retempo.runtime.recorded import list_recording
from retempo.runtime.sparse_bins import SparseBins
from retempo.sensors.events import EventChunk

# Bins that are stepped in one call.
_BINS = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What an engine made of recordings.

    Shapes: `scores` `(recordings, labels)`: the final ones under the mean readout, NaN where no
    event reached a bin or the network left the finite numbers. `spike_rate_hz` is the mean of all
    spiking neurons over all recordings, `steps` the bins stepped, a stream at a time, in `wall_s`.
    """

    scores: NDArray[np.float64]
    spike_rate_hz: float
    steps: int
    wall_s: float


def sparse_bins(chunk: EventChunk, layout: BinLayout, dt_us: int) -> SparseBins:
    """Bin a recording, see `runtime.recorded.list_recording`.

    Raises:
        InputError: the bins would not fit into memory.
    """
    return list_recording(chunk, layout, dt_us)


def decide_all(
    engine: Engine,
    recordings: Sequence[SparseBins],
    batch: int = 1,
    resolution: Resolution | None = None,
) -> Decided:
    """Step recordings through an engine, up to `batch` of them together if that is faster.

    `resolution` is the engine's own unless given. With a batch of 1 the scores are bit for bit
    those of `runtime.pipeline`. Stepped together, matrix products round otherwise, so a potential
    within rounding of the threshold may differ.
    """
    resolution = resolution or engine.resolution
    scores = np.full((len(recordings), len(engine.model.contract.network.labels)), np.nan)
    together = batch if engine.batches else 1
    # Streams that end together are not stepped in vain.
    order = np.argsort([len(recording) for recording in recordings], kind="stable")
    spikes, began = 0.0, time.perf_counter()
    for begin in range(0, len(order), together):
        chosen = order[begin : begin + together]
        for index, (final, fired) in zip(
            chosen,
            _decide_together(engine, [recordings[k] for k in chosen], resolution),
            strict=True,
        ):
            scores[index] = final
            spikes += fired
    wall_s = time.perf_counter() - began
    steps = sum(len(recording) for recording in recordings)
    neurons = sum(layer.neurons for layer in engine.model.contract.network.layers[:-1])
    span_s = steps * resolution.dt_us / 1e6
    rate_hz = spikes / (neurons * span_s) if neurons and span_s else 0.0
    return Decided(scores, rate_hz, steps, wall_s)


def _decide_together(
    engine: Engine, recordings: Sequence[SparseBins], resolution: Resolution
) -> list[tuple[Scores | float, float]]:
    """Return the final scores of each recording, NaN for none, and how many spikes were fired."""
    states = [engine.new_state(1, resolution) for _ in recordings]
    readouts = [new_readout("mean", resolution.dt_us) for _ in recordings]
    finals: list[Scores | float] = [np.nan] * len(recordings)
    fired = [0.0] * len(recordings)
    for begin in range(0, max(map(len, recordings), default=0), _BINS):
        due = [k for k, recording in enumerate(recordings) if len(recording) > begin]
        parts = [recordings[k].part(begin, min(begin + _BINS, len(recordings[k]))) for k in due]
        outputs = engine.run_many([(states[k], bins) for k, bins in zip(due, parts, strict=True)])
        for k, y in zip(due, outputs, strict=True):
            finals[k] = readouts[k](y, resolution.dt_us)[-1]
            fired[k] += sum(float(each.sum()) for each in engine.spikes(states[k]).values())
    for k, state in enumerate(states):
        if not engine.finite(state).all():
            finals[k] = np.nan
    return list(zip(finals, fired, strict=True))
