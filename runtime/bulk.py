"""Bulk replay: whole recordings through an engine, a batch at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.runtime.engine import Engine, Vector
from retempo.runtime.layout import BinLayout
from retempo.runtime.readouts import new_readout
from retempo.runtime.recorded import list_recording
from retempo.runtime.sparse_bins import SparseBins
from retempo.sensors.events import EventChunk


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
    """Step recordings through an engine, `batch` of them together.

    `resolution` is the engine's own unless given.

    With a batch of 1 the scores are bit for bit those of `runtime.pipeline`. A larger batch is
    faster; its matrix products round otherwise, so a potential within rounding of the threshold may
    differ.
    """
    resolution = resolution or engine.resolution
    labels = len(engine.model.contract.network.labels)
    scores = np.full((len(recordings), labels), np.nan)
    # Streams that end together are not stepped in vain.
    order = np.argsort([len(recording) for recording in recordings], kind="stable")
    spikes, began = 0.0, time.perf_counter()
    for begin in range(0, len(order), batch):
        chosen = order[begin : begin + batch]
        together = [recordings[index] for index in chosen]
        scores[chosen], fired = _decide_together(engine, together, resolution)
        spikes += fired
    wall_s = time.perf_counter() - began
    steps = sum(len(recording) for recording in recordings)
    neurons = sum(layer.neurons for layer in engine.model.contract.network.layers[:-1])
    span_s = steps * resolution.dt_us / 1e6
    rate_hz = spikes / (neurons * span_s) if neurons and span_s else 0.0
    return Decided(scores, rate_hz, steps, wall_s)


def _decide_together(
    engine: Engine, recordings: Sequence[SparseBins], resolution: Resolution
) -> tuple[NDArray[np.float64], float]:
    labels = len(engine.model.contract.network.labels)
    scores = np.full((len(recordings), labels), np.nan)
    lengths = np.array([len(recording) for recording in recordings], np.int64)
    starts, inputs, values = _joined(recordings)
    state = engine.new_state(len(recordings), resolution)
    readout = new_readout("mean", resolution.dt_us)
    spikes = 0.0
    for step in range(lengths.max(initial=0)):
        fill(state.x, step, lengths, starts, inputs, values)
        mean = readout(engine.step(state))
        alive = (lengths > step).astype(np.float32)
        spikes += sum(float((alive @ fired).sum()) for fired in engine.spikes(state).values())
        ended = np.flatnonzero(lengths == step + 1)
        if len(ended):
            finite = engine.finite(state)
            scores[ended] = np.where(finite[ended, None], mean[ended], np.nan)
    return scores, spikes


def _joined(
    recordings: Sequence[SparseBins],
) -> tuple[NDArray[np.int64], NDArray[np.int32], Vector]:
    """The columns of recordings one after another; `starts` has `bins + 1` entries a recording."""
    begins = np.cumsum([0, *(len(recording.inputs) for recording in recordings)])
    starts = [
        recording.starts + begin for recording, begin in zip(recordings, begins, strict=False)
    ]
    return (
        np.concatenate(starts),
        np.concatenate([recording.inputs for recording in recordings]),
        np.concatenate([recording.values for recording in recordings]),
    )


@njit(cache=True, nogil=True)
def fill(
    x: Vector,
    step: int,
    lengths: NDArray[np.int64],
    starts: NDArray[np.int64],
    inputs: NDArray[np.int32],
    values: Vector,
) -> None:  # pragma: no cover - compiled
    """Write bin `step` of each recording into `x`, which holds the bins before it.

    Beyond its end a recording is silent.

    Shapes: `x` `(recordings, inputs)`; `lengths` `(recordings,)`; the others see `SparseBins`.
    """
    first = 0
    for stream in range(len(lengths)):
        if 0 < step <= lengths[stream]:
            for j in range(starts[first + step - 1], starts[first + step]):
                x[stream, inputs[j]] = np.float32(0.0)
        if step < lengths[stream]:
            for j in range(starts[first + step], starts[first + step + 1]):
                x[stream, inputs[j]] = values[j]
        first += lengths[stream] + 1


def fill_numpy(
    x: Vector,
    step: int,
    lengths: NDArray[np.int64],
    starts: NDArray[np.int64],
    inputs: NDArray[np.int32],
    values: Vector,
) -> None:
    """Do what `fill` does: its plain twin."""
    x[:] = 0.0
    firsts = np.cumsum([0, *(lengths + 1)])
    for stream in np.flatnonzero(lengths > step):
        at = firsts[stream] + step
        now = slice(starts[at], starts[at + 1])
        x[stream, inputs[now]] = values[now]
