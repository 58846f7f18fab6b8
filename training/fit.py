"""Surrogate-gradient training of a network on labelled recordings."""

import platform
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numba
import numpy as np
import torch

from retempo.exporters.bin_laws import SATURATING
from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec
from retempo.exporters.files import check_writable
from retempo.exporters.network import DESCRIPTION_FILE, WEIGHTS_FILE, Network, save_network
from retempo.runtime.layout import layout_of
from retempo.runtime.units import parse_dt_us
from retempo.sensors.ears.registry import plain
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.training.augmentation import check_augmentation
from retempo.training.batches import BinPlan
from retempo.training.checkpoint import to_network
from retempo.training.config import FitConfig, InputConfig, TrainConfig, check_config
from retempo.training.datasets import Dataset, limited, open_dataset, subset
from retempo.training.epochs import new_module, run_epochs
from retempo.training.errors import DatasetError, TrainingError
from retempo.training.history import (
    CURVE_FILE,
    HISTORY_FILE,
    History,
    draw_curve,
    encode_history,
)
from retempo.training.occupancy import occupancy
from retempo.training.progress import Progress, Silent, choose_progress
from retempo.training.statistics import input_correlation


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came out of a training; accuracies are shares, those of the last epoch."""

    out: Path
    seed: int
    recordings: int
    held_out: int
    labels: tuple[str, ...]
    epochs: int
    loss: float
    train_accuracy: float
    held_out_accuracy: float | None
    wall_s: float


def train(
    config: TrainConfig,
    out: Path,
    *,
    data: Path | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> TrainReport:
    """Train by a preset and leave a run in the folder `out`.

    Args:
        config: the preset, see `load_train_config`.
        out: the run's folder, made if need be; a run in it is replaced at the end.
        data: replaces `[data] path`.
        seed: replaces `[fit] seed`.
        quiet: show no progress.

    Raises:
        TrainingError: the preset and the data do not fit, or the training diverged.
        ConfigError: `[input] dt` is no time step.
        NetworkError: the run cannot be written.
    """
    config = configured(config, data, seed)
    check_config(config)
    _check_out(out)
    wanted = config.data
    request = wanted.request("train", config.heard_by)
    dataset = limited(open_dataset(wanted.kind, request), wanted.limit)
    progress = choose_progress(quiet=quiet)
    try:
        return fit(config, dataset, out, progress=progress)
    finally:
        progress.close()


def configured(config: TrainConfig, data: Path | None, seed: int | None) -> TrainConfig:
    """Return a preset with its folder and its seed replaced where others are given."""
    if data is not None:
        config = msgspec.structs.replace(
            config, data=msgspec.structs.replace(config.data, path=str(data))
        )
    if seed is not None:
        config = msgspec.structs.replace(config, fit=msgspec.structs.replace(config.fit, seed=seed))
    return config


def fit(
    config: TrainConfig, dataset: Dataset, out: Path, *, progress: Progress | None = None
) -> TrainReport:
    """Train on a data set and write the run: network, `training.json`, `curve.png`.

    The same config, data and machine give the same weights. Nothing is written before the training
    has ended.

    Raises:
        TrainingError: the data set is too small or unfit, or the training diverged.
        ConfigError: `[input] dt` is no time step.
        NetworkError: the run cannot be written.
    """
    _check_out(out)
    check_augmentation(config.augment, dataset.geometry)
    training, held_out = split(dataset, config.fit)
    spec = input_spec_of(dataset.geometry, config.input)
    if dataset.ear is not None:
        spec = msgspec.structs.replace(spec, ear=plain(dataset.ear))
    dt_us = parse_dt_us(config.input.dt)
    began = time.perf_counter()
    # The caller's own random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.fit.seed)
        module = new_module(config, spec, dataset.labels)
        plan = BinPlan(layout_of(spec), dt_us)
        epochs = run_epochs(module, config, plan, training, held_out, progress or Silent())
    if spec.bin_mode in SATURATING:
        spec = msgspec.structs.replace(spec, occupancy=occupancy(training, plan))
    network = to_network(module, spec, dt_us, dataset.labels)
    correlation = input_correlation(network, training, plan)
    described = msgspec.structs.replace(network.spec, input_correlation=correlation)
    network = Network(described, network.weights)
    wall_s = time.perf_counter() - began
    history = History(
        config=config,
        seed=config.fit.seed,
        recordings=len(training),
        held_out=0 if held_out is None else len(held_out),
        parameters=sum(values.numel() for values in module.parameters()),
        wall_s=wall_s,
        threads=torch.get_num_threads(),
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "numba": numba.__version__,
        },
        epochs=epochs,
    )
    _write_run(network, history, out)
    return TrainReport(
        out=out,
        seed=history.seed,
        recordings=history.recordings,
        held_out=history.held_out,
        labels=dataset.labels,
        epochs=len(epochs),
        loss=epochs[-1].loss,
        train_accuracy=epochs[-1].train_accuracy,
        held_out_accuracy=epochs[-1].held_out_accuracy,
        wall_s=wall_s,
    )


def input_spec_of(geometry: Geometry, config: InputConfig) -> InputSpec:
    """Return the input of a network that listens to a sensor by `[input]`.

    Raises:
        ConfigError: `bin_unit` is no time step.
    """
    sensor: GridSpec | ChannelSpec
    if isinstance(geometry, GridGeometry):
        sensor = GridSpec(geometry.width, geometry.height, geometry.polarities)
    else:
        sensor = ChannelSpec(geometry.channels)
    unit_us = parse_dt_us(config.bin_unit)
    return InputSpec(sensor, config.bin_mode, config.downsample, unit_us)


def split(dataset: Dataset, config: FitConfig) -> tuple[Dataset, Dataset | None]:
    """Hold out the share `validation` of each label, drawn by the seed; None for none.

    Raises:
        DatasetError: there are fewer than two labels, or one is left without a recording to train
            on, or nothing is held out.
    """
    counts = Counter(dataset.targets)
    missing = [label for index, label in enumerate(dataset.labels) if not counts[index]]
    if len(dataset.labels) < 2 or missing:
        raise DatasetError(
            f"{dataset.name} has too few labels to learn from: "
            + (f"none of its recordings is {missing[0]!r}" if missing else "expected at least 2")
        )
    if not config.validation:
        return dataset, None
    rng = np.random.default_rng([config.seed, 1])
    held_out = []
    for target in sorted(counts):
        own = np.flatnonzero(np.array(dataset.targets) == target)
        held_out += rng.permutation(own)[: round(config.validation * len(own))].tolist()
    rest = sorted(set(range(len(dataset))) - set(held_out))
    if not held_out or len({dataset.targets[index] for index in rest}) < len(counts):
        raise DatasetError(
            f"{dataset.name} has too few recordings to hold {config.validation:g} of each label "
            "out; change [fit] validation or use more recordings"
        )
    return subset(dataset, rest), subset(dataset, sorted(held_out))


def _write_run(network: Network, history: History, out: Path) -> None:
    # Both made before anything is written, so that a fault in them leaves no part of a run.
    files = {HISTORY_FILE: encode_history(history), CURVE_FILE: draw_curve(history)}
    save_network(network, out, files)


def _check_out(out: Path) -> None:
    """Find out before the training, not after it, that its run cannot be written."""
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file; name a folder for the run")
    try:
        check_writable(out)
    except OSError as error:
        raise TrainingError(
            f"cannot write the run {out}: {error.strerror}: {error.filename}"
        ) from error
    for name in (HISTORY_FILE, CURVE_FILE, DESCRIPTION_FILE, WEIGHTS_FILE):
        if (out / name).is_dir():
            raise TrainingError(f"{out / name} is a folder in the way; name another --out")
