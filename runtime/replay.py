"""Replay: a recorded file through the pipeline that serves live streams."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.sensors.events import EventChunk, Source


def exhaust(decisions: Iterable[Decision | None]) -> Decision | None:
    """Run a stream's decisions to their end; returns the last."""
    last = None
    for decision in decisions:
        last = decision or last
    return last


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a recording was taken for; the label is None where no event reached a bin.

    `removed` counts by filter what `counters` has among `masked`. Bins that close together are
    stepped in one call, whose time they share.
    """

    recording: str
    label: str | None
    scores: list[float]
    dt_us: int
    method: str
    engine: str
    steps: int
    counters: dict[str, int]
    removed: dict[str, int]
    step_p50_us: float
    step_p99_us: float
    seconds: float


def replay(
    source: Source, deployment: Deployment, chunks: Iterable[EventChunk] | None = None
) -> ReplayResult:
    """Run a whole source through a deployment.

    Args:
        source: the recording.
        deployment: see `runtime.deployment.Deployment`.
        chunks: the source's chunks paced or cut otherwise, see `runtime.pacing`; as fast as
            possible if None.

    Raises:
        InputError: the recording is of another sensor than the model's.
        FilterError: a filter of the deployment cannot work on its sensor.
        SensorError: the recording cannot be read to its end.
    """
    step_times_us: list[float] = []
    step_bins: list[int] = []

    def note(bins: int, took_us: float) -> None:
        step_bins.append(bins)
        step_times_us.append(took_us / bins)

    pipeline = deployment.open(
        source.name,
        source.geometry,
        on_steps=note,
    )
    began_us = deployment.clock_us()
    for chunk in source if chunks is None else chunks:
        exhaust(pipeline.feed(chunk, deployment.clock_us()))
    final = exhaust(pipeline.finish(deployment.clock_us()))
    resolution = deployment.engine.resolution
    p50, p99 = (
        np.percentile(np.repeat(step_times_us, step_bins), (50, 99))
        if step_times_us
        else (np.nan, np.nan)
    )
    return ReplayResult(
        recording=source.name,
        label=final.label if final else None,
        scores=final.scores if final else [],
        dt_us=resolution.dt_us,
        method=resolution.method,
        engine=deployment.engine.name,
        steps=pipeline.counters.steps,
        counters=pipeline.counters.as_dict(),
        removed=pipeline.removed,
        step_p50_us=float(p50),
        step_p99_us=float(p99),
        seconds=(deployment.clock_us() - began_us) / 1e6,
    )
