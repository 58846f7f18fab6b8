"""Train coarse, deploy fine: a network adapted to a time step against one trained at it.

Source of the comparison: arXiv 2411.04760, the time-efficient training pipeline.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from retempo.exporters.adaptation import method_named
from retempo.exporters.errors import AdaptationError
from retempo.exporters.files import write_atomically
from retempo.exporters.network import Network, load_network
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import write_step
from retempo.runtime.units import format_duration, parse_dt_us
from retempo.training.config import TrainConfig
from retempo.training.datasets import Dataset, Labelled, open_dataset
from retempo.training.errors import TrainingError
from retempo.training.evaluation import evaluate, model_of
from retempo.training.fit import configured, train

MODEL_FILE = "model.onnx"
COMPARISON_FILE = "then-adapt.json"

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a network at the target time step: what it cost and how well it decides.

    `accuracy` is in percent, on the test recordings stepped at `stepped_dt_us`.
    """

    name: str
    trained_dt_us: int
    stepped_dt_us: int
    accuracy: float
    training_s: float
    adapting_s: float

    @property
    def wall_s(self) -> float:
        """All that the network cost."""
        return self.training_s + self.adapting_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """The ways side by side: at home, adapted, and trained at the target."""

    method: str
    test_recordings: int
    home: Way
    adapted: Way
    native: Way

    @property
    def times_faster(self) -> float:
        """How many times the adapted way is faster than training at the target."""
        return self.native.wall_s / self.adapted.wall_s


def train_then_adapt(
    config: TrainConfig,
    out: Path,
    target_dt_us: int,
    *,
    method: str = "auto",
    data: Path | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> Comparison:
    """Train by a preset, adapt to the target; train the same preset at the target; compare.

    Leaves in `out` the run itself, the adapted `model.onnx`, the run trained at the target in
    `native-<dt>`, and the comparison as `then-adapt.json`.

    Raises:
        AdaptationError: the method does not fit the target.
        TrainingError: the target is the preset's own step, there are no test recordings, or see
            `training.fit.train`.
    """
    config = configured(config, data, seed)
    source_dt_us = parse_dt_us(config.input.dt)
    if target_dt_us == source_dt_us:
        raise TrainingError(
            f"the preset trains at {format_duration(source_dt_us)} already; name another step"
        )
    linear = neuron_named(config.network.neuron).upswing is None
    method_named(method).schedule_of(source_dt_us, target_dt_us, linear=linear)
    # What can fail is tried before an hour of training, not after it.
    test = open_dataset(config.data.kind, config.data.request("test", config.heard_by))
    native_config = msgspec.structs.replace(
        config, input=msgspec.structs.replace(config.input, dt=f"{target_dt_us}us")
    )
    trained = train(config, out, quiet=quiet)
    began = time.perf_counter()
    network = load_network(out)
    resolution = resolve(network.spec, target_dt_us, method)
    write_step(network, resolution, out / MODEL_FILE)
    adapting_s = time.perf_counter() - began
    native_out = out / f"native-{format_duration(target_dt_us).replace(' ', '')}"
    natively = train(native_config, native_out, quiet=quiet)

    items = [test[index] for index in range(len(test))]
    comparison = Comparison(
        method=method,
        test_recordings=len(items),
        home=Way(
            "at home",
            source_dt_us,
            source_dt_us,
            _accuracy(network, test, items, source_dt_us, "none"),
            trained.wall_s,
            0.0,
        ),
        adapted=Way(
            "adapted",
            source_dt_us,
            target_dt_us,
            _accuracy(network, test, items, target_dt_us, method),
            trained.wall_s,
            adapting_s,
        ),
        native=Way(
            "trained there",
            target_dt_us,
            target_dt_us,
            _accuracy(load_network(native_out), test, items, target_dt_us, "none"),
            natively.wall_s,
            0.0,
        ),
    )
    write_atomically(
        out / COMPARISON_FILE, msgspec.json.format(msgspec.json.encode(comparison), indent=1)
    )
    return comparison


def _accuracy(
    network: Network, test: Dataset, items: Sequence[Labelled], dt_us: int, method: str
) -> float:
    result = evaluate(
        model_of(network, test.name),
        [item.events for item in items],
        [test.labels[item.label] for item in items],
        [dt_us],
        [method],
        batch=_BATCH,
    )[0]
    if result.reason:
        raise AdaptationError(result.reason)
    return result.percent
