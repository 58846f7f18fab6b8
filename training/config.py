"""A training preset: TOML as msgspec structs."""

import math
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from retempo.exporters.description import BinMode
from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons import Range, neuron_named
from retempo.runtime.config import load_config
from retempo.runtime.units import parse_dt_us
from retempo.training.errors import TrainingError

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Neurons = Annotated[int, Meta(ge=1, le=65_536)]
Positive = Annotated[float, Meta(gt=0.0)]


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[data]`: which recordings.

    `kind` is a name in `retempo.training.datasets.DATASETS`. `path` is a folder, relative to the
    preset's own; `--data` replaces it. `limit` takes that many recordings, spread over the data
    set. `camera_seed` is that of the simulated sensor.
    """

    kind: str
    path: str | None = None
    limit: Count | None = None
    download: bool = False
    camera_seed: Annotated[int, Meta(ge=0)] = 0


class InputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[input]`: how events become bins.

    `bin_mode` is `sum`, `binary`, `max` or `mean`, see `exporters.description.InputSpec`;
    `bin_unit` is the unit of `max` and `mean`.
    """

    dt: str = "10ms"
    downsample: Count = 1
    bin_mode: BinMode = "sum"
    bin_unit: str = "1ms"


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[network]`: hidden layers of one neuron model, and a leaky readout.

    `dropout` acts on the spikes of every hidden layer. `ranges` narrows those of the neuron's
    parameters, as in `ranges = { a = [0.0, 1.0] }`.
    """

    neuron: str = "radlif"
    hidden: Annotated[list[Neurons], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [128, 128]
    )
    dropout: Share = 0.3
    ranges: dict[str, tuple[float, float]] = {}


class AugmentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[augment]`: how a training recording differs from epoch to epoch, uniformly drawn.

    `shift` moves it by up to that many pixels or channels; `rotate_deg`, `zoom` and `shear` turn,
    scale and slant it on a grid by up to that much, `zoom = 0.1` being 10 %; `time_stretch` scales
    its times likewise; `random_phase` moves it against the bins; `drop` is the share of events that
    are left out, for which the others weigh more.
    """

    shift: Annotated[int, Meta(ge=0, le=1_000)] = 0
    rotate_deg: Annotated[float, Meta(ge=0.0, le=180.0)] = 0.0
    zoom: Share = 0.0
    shear: Share = 0.0
    time_stretch: Share = 0.0
    random_phase: bool = False
    drop: Share = 0.0


class FitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[fit]`: Adam with a cosine schedule down to zero.

    `validation` is the share of the training recordings that is held out of training and measured
    after each epoch.
    """

    epochs: Count = 30
    batch: Count = 50
    learning_rate: Positive = 2e-3
    gradient_clip: Positive = 5.0
    label_smoothing: Share = 0.0
    validation: Share = 0.0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole preset."""

    data: DataConfig
    input: InputConfig = InputConfig()
    network: NetworkConfig = NetworkConfig()
    augment: AugmentConfig = AugmentConfig()
    fit: FitConfig = FitConfig()


def load_train_config(path: Path) -> TrainConfig:
    """Read a preset; a relative `[data] path` becomes one that starts from the preset's folder.

    Raises:
        ConfigError: the file is missing, malformed, or has an unknown key.
        TrainingError: `[data] path` names no home folder, or see `check_config`.
    """
    config = load_config(path, TrainConfig)
    check_config(config)
    if config.data.path is None:
        return config
    try:
        folder = path.parent / Path(config.data.path).expanduser()
    except RuntimeError as error:
        raise TrainingError(
            f"{path}: [data] path is {config.data.path!r}, but that user has no home folder; "
            "write the folder out"
        ) from error
    return msgspec.structs.replace(
        config, data=msgspec.structs.replace(config.data, path=str(folder))
    )


def check_config(config: TrainConfig) -> None:
    """Check what the types of a preset cannot say.

    Raises:
        ConfigError: `[input] dt` or `bin_unit` is no time step.
        TrainingError: a number is not finite, the neuron is unknown or no hidden one, or a range
            is not within its own.
    """
    for section in ("network", "augment", "fit"):
        for key, value in msgspec.structs.asdict(getattr(config, section)).items():
            # TOML has nan and inf, and nan passes every bound.
            if isinstance(value, float) and not math.isfinite(value):
                raise TrainingError(f"[{section}] {key} is {value}, expected a finite number")
    parse_dt_us(config.input.dt)
    parse_dt_us(config.input.bin_unit)
    parameter_ranges(config.network)


def parameter_ranges(config: NetworkConfig) -> dict[str, Range]:
    """Return the range of each parameter of the neuron, narrowed as the preset asks.

    Raises:
        TrainingError: see `check_config`.
    """
    try:
        neuron = neuron_named(config.neuron)
    except NetworkError as error:
        raise TrainingError(f"[network] neuron: {error}") from error
    if not neuron.spiking:
        raise TrainingError(f"[network] neuron is {neuron.name}, expected one that spikes")
    ranges = dict(neuron.parameters)
    for name, (low, high) in config.ranges.items():
        if name not in ranges:
            raise TrainingError(
                f"[network] ranges: {neuron.name} has no parameter {name!r}; it has "
                f"{', '.join(ranges)}"
            )
        own = ranges[name]
        if not own.low <= low <= high <= own.high:
            raise TrainingError(
                f"[network] ranges: {name} = [{low:g}, {high:g}] is not within the model's "
                f"[{own.low:g}, {own.high:g}]"
            )
        ranges[name] = Range(low, high)
    return ranges
