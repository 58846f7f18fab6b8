"""From a job to the preset that it is trained by, and what its result depends on."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.adaptation.jobs import Change, Data, Train
from retempo.exporters.neurons import neuron_named
from retempo.training.config import TrainConfig, check_config, load_train_config
from retempo.training.datasets import Dataset, Split, limited, open_dataset
from retempo.training.errors import DatasetError, TrainingError

PRESETS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the recordings lie, and where runs, results and caches go."""

    data_root: Path
    runs: Path

    def folder_of(self, data: Data) -> Path | None:
        """Return the folder of a data set, None where it needs none."""
        return None if data.folder is None else self.data_root / data.folder


def config_of(train: Train) -> TrainConfig:
    """Return the preset of a job, free of all that differs from machine to machine.

    Raises:
        TrainingError: a change names a key that the preset has not.
        ConfigError: the preset cannot be read.
    """
    config = load_train_config(PRESETS / train.data.preset)
    content = msgspec.to_builtins(config)
    content["data"].pop("path", None)
    content["data"].pop("cache", None)
    changes: tuple[Change, ...] = (
        *train.data.changes,
        ("network.neuron", train.neuron),
        ("input.dt", f"{train.dt_us}us"),
        ("fit.seed", train.seed),
        *train.changes,
    )
    for key, value in changes:
        section, _, name = key.partition(".")
        if name not in content.get(section, {}):
            raise TrainingError(f"{train.data.preset} has no [{section}] {name} to set")
        content[section][name] = value
    content["network"]["ranges"] = _fitting(content["network"]["ranges"], train.neuron)
    changed = msgspec.convert(content, TrainConfig)
    check_config(changed)
    return changed


def placed(config: TrainConfig, data: Data, places: Places) -> TrainConfig:
    """Return a preset with this machine's folder and, where it keeps one, its cache."""
    folder = places.folder_of(data)
    content = msgspec.to_builtins(config)
    content["data"]["path"] = None if folder is None else str(folder)
    if data.heard:
        # Splits of other speakers hold other files, so each has a cache of its own.
        digest = _sha(msgspec.json.encode(config.data))[:8]
        content["data"]["cache"] = str(places.runs / "cache" / f"{data.name}-{digest}.npz")
    return msgspec.convert(content, TrainConfig)


def open_split(config: TrainConfig, split: Split) -> Dataset:
    """Open the recordings of a placed preset."""
    wanted = config.data
    request = wanted.request(split, config.heard_by)
    return limited(open_dataset(wanted.kind, request), wanted.limit)


@contextmanager
def one_at_a_time(config: TrainConfig) -> Iterator[None]:
    """Let one worker hear a data set of sound while the others wait for its cache."""
    cache = config.data.cache
    if cache is None:
        yield
        return
    Path(cache).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{cache}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def settings_digest(train: Train) -> str:
    """Return the hash of all that a training follows from, but for the recordings."""
    return _sha(msgspec.json.encode(config_of(train)))


def listing_digest(data: Data, places: Places) -> str:
    """Return the hash of name and size of every file of a data set.

    Raises:
        DatasetError: its folder is missing or empty.
    """
    folder = places.folder_of(data)
    if folder is None:
        return "none"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise DatasetError(f"{folder} holds no recordings of {data.name}; see --data-root")
    lines = (f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}" for path in files)
    return _sha("\n".join(lines).encode())


def _fitting(ranges: dict[str, tuple[float, float]], neuron: str) -> dict[str, tuple[float, float]]:
    """The ranges that another neuron model has too, and within its own."""
    own = neuron_named(neuron).parameters
    return {
        name: (low, high)
        for name, (low, high) in ranges.items()
        if name in own and own[name].low <= low <= high <= own[name].high
    }


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
