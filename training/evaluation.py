"""Accuracy at any resolution, by the runtime's own binning and engine. Needs no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retempo.exporters.errors import UnfitError
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.binning import layout_of
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.engines import load_engine
from retempo.sensors.events import EventChunk


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many recordings a method decides rightly at a time step.

    `decided` is the label of each recording, None where no event reached a bin or the network left
    the finite numbers. `reason` says why a method does not fit this time step; then nothing is
    decided. `spike_rate_hz` is the mean of the spiking neurons; `steps` bins were stepped, a stream
    at a time, in `wall_s` seconds.
    """

    dt_us: int
    method: str
    correct: int
    total: int
    decided: tuple[str | None, ...]
    reason: str = ""
    spike_rate_hz: float = 0.0
    steps: int = 0
    wall_s: float = 0.0

    @property
    def percent(self) -> float:
        """The accuracy in percent."""
        return 100.0 * self.correct / self.total if self.total else float("nan")


def model_of(network: Network, name: str) -> StepModel:
    """Return a network as the model that it would be exported to, at its source resolution."""
    resolution = resolve(network.spec, network.spec.source_dt_us, "none")
    return parse_step(build_step(network, resolution).SerializeToString(), name)


def evaluate(
    model: StepModel,
    recordings: Sequence[EventChunk],
    expected: Sequence[str],
    dts_us: Sequence[int],
    methods: Sequence[str],
    *,
    normalisation: str | None = None,
    batch: int = 1,
    on_result: Callable[[Accuracy], None] = lambda _: None,
) -> list[Accuracy]:
    """Decide every recording by every method at every time step.

    Args:
        model: what decides; any resolution follows from its contract.
        recordings: all events of each recording.
        expected: the true label of each recording.
        dts_us: the time steps.
        methods: names in `exporters.adaptation.METHODS`.
        normalisation: a rule for every method; each method's own if None.
        batch: recordings stepped together; 1 gives the decisions of a replay bit for bit.
        on_result: told each result as it comes.

    Raises:
        AdaptationError: a method is unknown. One that is merely unfit for a time step gives an
            `Accuracy` with a reason.
    """
    layout = layout_of(model.contract.network.input)
    labels = model.contract.network.labels
    engine = load_engine(model)
    results = []
    for dt_us in dts_us:
        binned = [sparse_bins(chunk, layout, dt_us) for chunk in recordings]
        for method in methods:
            try:
                engine.set_resolution(model.resolution(dt_us, method, normalisation))
            except UnfitError as error:
                result = Accuracy(dt_us, method, 0, len(recordings), (), str(error))
            else:
                decided = decide_all(engine, binned, batch)
                names = tuple(
                    None if np.isnan(scores).any() else labels[int(scores.argmax())]
                    for scores in decided.scores
                )
                result = Accuracy(
                    dt_us=dt_us,
                    method=method,
                    correct=sum(a == b for a, b in zip(names, expected, strict=True)),
                    total=len(recordings),
                    decided=names,
                    spike_rate_hz=decided.spike_rate_hz,
                    steps=decided.steps,
                    wall_s=decided.wall_s,
                )
            results.append(result)
            on_result(result)
    return results
