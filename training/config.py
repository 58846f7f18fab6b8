"""A training preset: TOML as msgspec structs."""

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from retempo.exporters.description import BinMode
from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons import Range, neuron_named
from retempo.runtime.config import load_config
from retempo.runtime.units import parse_dt_us
from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.lauscher import LauscherSpec
from retempo.sensors.speech2spikes import Speech2SpikesSpec
from retempo.training.datasets.request import Request, Split
from retempo.training.errors import TrainingError

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Neurons = Annotated[int, Meta(ge=1, le=65_536)]
Positive = Annotated[float, Meta(gt=0.0)]


# What only some data sets can obey.
_ONLY_FOR = {
    "words": ("words",),
    "held_out_speaker": ("fsdd",),
    "cache": ("fsdd", "words"),
}


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[data]`: which recordings.

    `kind` is a name in `retempo.training.datasets.DATASETS`. `path` is a folder, relative to the
    preset's own; `--data` replaces it. `limit` takes that many recordings, spread over the data
    set. `camera_seed` is that of the simulated sensor. `words` chooses among the labels of the data
    set `words`. `held_out_speaker` splits `fsdd` by speaker instead of by take. `cache` is a file,
    relative to the preset's folder, in which the events of sound are kept, one a split.
    """

    kind: str
    path: str | None = None
    limit: Count | None = None
    download: bool = False
    camera_seed: Annotated[int, Meta(ge=0)] = 0
    words: Annotated[list[str], Meta(min_length=2)] | None = None
    held_out_speaker: str | None = None
    cache: str | None = None

    def request(self, split: Split, ear: EarSpec) -> Request:
        """What a data set is asked for."""
        return Request(
            split=split,
            path=None if self.path is None else Path(self.path),
            labels=None if self.words is None else tuple(self.words),
            download=self.download,
            seed=self.camera_seed,
            ear=ear,
            cache=None if self.cache is None else Path(self.cache),
            held_out_speaker=self.held_out_speaker,
        )


class InputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[input]`: how events become bins.

    `bin_mode` is `sum`, `binary`, `max` or `mean`, see `exporters.description.InputSpec`;
    `bin_unit` is the unit of `max` and `mean`.
    """

    dt: str = "10ms"
    downsample: Count = 1
    bin_mode: BinMode = "sum"
    bin_unit: str = "1ms"


class ConvConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `[network] conv`: a convolution that feeds neurons, one a point of its map.

    `pool` pools its input first. `neuron` is that of `[network]` unless named.
    """

    channels: Neurons
    kernel: Count
    stride: Count = 1
    padding: Annotated[int, Meta(ge=0)] = 0
    pool: Count = 1
    pooling: Literal["average", "max"] = "average"
    neuron: str | None = None


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[network]`: convolutions if any, dense hidden layers, and a leaky readout.

    `neuron` is the model of the hidden layers. `pool` pools the input of the first dense one.
    `dropout` acts on the spikes of every hidden layer. `ranges` narrows those of the neuron's
    parameters, as in `ranges = { a = [0.0, 1.0] }`.
    """

    neuron: str = "radlif"
    conv: list[ConvConfig] = []
    pool: Count = 1
    pooling: Literal["average", "max"] = "average"
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
    """A whole preset; what hears a data set of sound is `[cochlea]`, or another ear, `[ear]`.

    A preset without `[ear]` is encoded as it was before there were others.
    """

    data: DataConfig
    cochlea: CochleaSpec = CochleaSpec()
    input: InputConfig = InputConfig()
    network: NetworkConfig = NetworkConfig()
    augment: AugmentConfig = AugmentConfig()
    fit: FitConfig = FitConfig()
    ear: LauscherSpec | Speech2SpikesSpec | msgspec.UnsetType = msgspec.UNSET

    @property
    def heard_by(self) -> EarSpec:
        """The ear that is asked for."""
        return self.cochlea if isinstance(self.ear, msgspec.UnsetType) else self.ear


def load_train_config(path: Path) -> TrainConfig:
    """Read a preset; relative paths in `[data]` become ones from the preset's folder.

    Raises:
        ConfigError: the file is missing, malformed, or has an unknown key.
        TrainingError: a path in `[data]` names no home folder, or see `check_config`.
    """
    config = load_config(path, TrainConfig)
    check_config(config)
    places = {
        key: _from_the_presets_folder(path, key, value)
        for key in ("path", "cache")
        if (value := getattr(config.data, key)) is not None
    }
    return msgspec.structs.replace(config, data=msgspec.structs.replace(config.data, **places))


def _from_the_presets_folder(preset: Path, key: str, value: str) -> str:
    try:
        return str(preset.parent / Path(value).expanduser())
    except RuntimeError as error:
        raise TrainingError(
            f"{preset}: [data] {key} is {value!r}, but that user has no home folder; "
            "write the folder out"
        ) from error


def check_config(config: TrainConfig) -> None:
    """Check what the types of a preset cannot say.

    Raises:
        ConfigError: `[input] dt` or `bin_unit` is no time step.
        TrainingError: a number is not finite, a key is not for this kind of data set, the neuron is
            unknown or no hidden one, or a range is not within its own.
    """
    for section in ("network", "augment", "fit"):
        for key, value in msgspec.structs.asdict(getattr(config, section)).items():
            # TOML has nan and inf, and nan passes every bound.
            if isinstance(value, float) and not math.isfinite(value):
                raise TrainingError(f"[{section}] {key} is {value}, expected a finite number")
    for key, kinds in _ONLY_FOR.items():
        if getattr(config.data, key) is not None and config.data.kind not in kinds:
            raise _not_for(config.data.kind, f"[data] {key}", kinds)
    for section, asked in (("cochlea", config.cochlea != CochleaSpec()), ("ear", bool(config.ear))):
        if asked and config.data.kind not in _ONLY_FOR["cache"]:
            raise _not_for(config.data.kind, f"[{section}]", _ONLY_FOR["cache"])
    if config.ear and config.cochlea != CochleaSpec():
        raise TrainingError("[cochlea] and [ear] are two ears; leave one out")
    parse_dt_us(config.input.dt)
    parse_dt_us(config.input.bin_unit)
    for neuron in dict.fromkeys([None, *(layer.neuron for layer in config.network.conv)]):
        parameter_ranges(config.network, neuron)


def _not_for(kind: str, key: str, kinds: tuple[str, ...]) -> TrainingError:
    return TrainingError(
        f"{key} is for the data set {' or '.join(kinds)}, [data] kind is {kind!r}; leave it out"
    )


def parameter_ranges(config: NetworkConfig, name: str | None = None) -> dict[str, Range]:
    """Return the range of each parameter of a neuron, narrowed as the preset asks.

    Args:
        config: the preset's `[network]`.
        name: the neuron's model, that of `[network]` unless named.

    Raises:
        TrainingError: see `check_config`.
    """
    try:
        neuron = neuron_named(name or config.neuron)
        used = [neuron_named(layer.neuron or config.neuron) for layer in config.conv]
        used.append(neuron_named(config.neuron))
    except NetworkError as error:
        raise TrainingError(f"[network] neuron: {error}") from error
    if not neuron.spiking:
        raise TrainingError(f"[network] neuron is {neuron.name}, expected one that spikes")
    ranges = dict(neuron.parameters)
    for key, (low, high) in config.ranges.items():
        if key not in ranges and any(key in other.parameters for other in used):
            continue
        if key not in ranges:
            raise TrainingError(
                f"[network] ranges: {neuron.name} has no parameter {key!r}; it has "
                f"{', '.join(ranges)}"
            )
        own = ranges[key]
        if not own.low <= low <= high <= own.high:
            raise TrainingError(
                f"[network] ranges: {key} = [{low:g}, {high:g}] is not within the model's "
                f"[{own.low:g}, {own.high:g}]"
            )
        ranges[key] = Range(low, high)
    return ranges
