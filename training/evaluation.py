"""Accuracy at any resolution, by the runtime's own binning and engine. Needs no torch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from retempo.exporters.errors import UnfitError
from retempo.exporters.network import Network
from retempo.exporters.resolution import Resolution, resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, network_of, parse_step
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import InputError
from retempo.runtime.layout import BinLayout, layout_of
from retempo.runtime.measuring import measure
from retempo.runtime.rebinning import check_rebinning, check_way, rebin_recording
from retempo.runtime.sparse_bins import SparseBins, without_zeros
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
    unlabelled: Sequence[Iterable[EventChunk]] = (),
    input_adaptation: str | None = None,
    sensor_dt_us: int | None = None,
    batch: int = 1,
    engine_name: str = "auto",
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
        unlabelled: the chunks of each recording that the rule `measured` measures at every step.
        input_adaptation: a way of `runtime.rebinning`; adds the result `input:<way>` of the network
            at its source step, fed with bins of each time step made into its own.
        sensor_dt_us: the step of the bins that the sensor gives; instead of the above, the bins of
            every time step are made of them, and each result is named `<method>, <way>`.
        batch: recordings stepped together; 1 gives the decisions of a replay bit for bit.
        engine_name: a name in `runtime.engines.ENGINES`.
        on_result: told each result as it comes.

    Raises:
        AdaptationError: a method is unknown. One that is merely unfit for a time step gives an
            `Accuracy` with a reason.
        InputError: the input adaptation is unknown, or there is too little to measure.
    """
    network = model.contract.network
    layout = layout_of(network.input)
    engine = load_engine(model, name=engine_name)
    results: list[Accuracy] = []

    def decide(
        dt_us: int, name: str, binned: Sequence[SparseBins] | str, resolution: Resolution
    ) -> Accuracy:
        if isinstance(binned, str):
            return Accuracy(dt_us, name, 0, len(recordings), (), binned)
        decided = decide_all(engine, binned, batch, resolution)
        names = tuple(
            None if np.isnan(scores).any() else network.labels[int(scores.argmax())]
            for scores in decided.scores
        )
        return Accuracy(
            dt_us=dt_us,
            method=name,
            correct=sum(a == b for a, b in zip(names, expected, strict=True)),
            total=len(recordings),
            decided=names,
            spike_rate_hz=decided.spike_rate_hz,
            steps=decided.steps,
            wall_s=decided.wall_s,
        )

    def add(result: Accuracy) -> None:
        results.append(result)
        on_result(result)

    if input_adaptation is not None:
        check_way(input_adaptation)
    elif sensor_dt_us is not None:
        raise InputError(
            f"bins of {sensor_dt_us} us are made into others by an input adaptation, got none; "
            "name one, as in input_adaptation='repeat'"
        )
    source_dt_us = network.source_dt_us
    for dt_us in dts_us:
        measured = None
        if normalisation == "measured" and methods:
            measured = measure(network_of(model), unlabelled, dt_us)
        binned: list[SparseBins] | str = []
        if sensor_dt_us is not None and input_adaptation is not None:
            binned = _rebinned(recordings, layout, sensor_dt_us, dt_us, input_adaptation)
        elif methods:
            binned = [sparse_bins(chunk, layout, dt_us) for chunk in recordings]
        for method in methods:
            name = method if sensor_dt_us is None else f"{method}, {input_adaptation}"
            try:
                resolution = model.resolution(dt_us, method, normalisation, measured)
            except UnfitError as error:
                add(Accuracy(dt_us, name, 0, len(recordings), (), str(error)))
            else:
                add(decide(dt_us, name, binned, resolution))
        if input_adaptation is not None and sensor_dt_us is None:
            home = model.resolution(source_dt_us, "none", "none")
            rebinned = _rebinned(recordings, layout, dt_us, source_dt_us, input_adaptation)
            add(decide(dt_us, f"input:{input_adaptation}", rebinned, home))
    return results


def _rebinned(
    recordings: Sequence[EventChunk], layout: BinLayout, from_us: int, to_us: int, how: str
) -> list[SparseBins] | str:
    """Return bins made of other bins, or why they cannot be."""
    try:
        check_rebinning(from_us, to_us, how)
    except InputError as error:
        return str(error)
    return [
        without_zeros(rebin_recording(chunk, layout, from_us, to_us, how)) for chunk in recordings
    ]
