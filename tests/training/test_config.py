"""Presets: typed, checked, and their mistakes answered in one line."""

from pathlib import Path

import msgspec
import pytest

from retempo.runtime.errors import ConfigError
from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.lauscher import LauscherSpec
from retempo.training.config import DataConfig, TrainConfig, load_train_config
from retempo.training.datasets import DATASETS, Request
from retempo.training.errors import TrainingError

PRESETS = Path(__file__).resolve().parents[2] / "configs"
TRAINING_PRESETS = (
    "fsdd-radlif.toml",
    "nmnist-adlif.toml",
    "nmnist-conv-radlif.toml",
    "nmnist-radlif.toml",
    "shd-radlif.toml",
    "simulated-digits.toml",
)


def write(folder: Path, text: str) -> Path:
    path = folder / "preset.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", TRAINING_PRESETS)
def test_a_committed_preset_loads(name: str) -> None:
    config = load_train_config(PRESETS / name)
    assert config.data.kind in DATASETS
    assert config.fit.validation == 0.0


@pytest.mark.parametrize("name", TRAINING_PRESETS)
def test_a_preset_without_another_ear_is_encoded_as_before_there_were_any(name: str) -> None:
    """Results of benchmarks are kept by the hash of this."""
    content = msgspec.json.decode(msgspec.json.encode(load_train_config(PRESETS / name)))
    assert list(content) == ["data", "cochlea", "input", "network", "augment", "fit"]
    assert list(content["cochlea"]) == [
        *("channels", "low_hz", "high_hz", "level", "floor", "attack_ms", "release_ms"),
        *("exponent", "charge_hz", "leak_hz", "refractory_ms"),
    ]


def test_another_ear_takes_the_place_of_the_cochlea(tmp_path: Path) -> None:
    text = '[data]\nkind = "fsdd"\n[ear]\nkind = "lauscher"\nchannels = 70\n'
    config = load_train_config(write(tmp_path, text))
    assert config.heard_by == LauscherSpec(channels=70)
    again = msgspec.json.decode(msgspec.json.encode(config), type=TrainConfig)
    assert again == config
    plainly = load_train_config(write(tmp_path, '[data]\nkind = "fsdd"\n'))
    assert plainly.heard_by == CochleaSpec()
    with pytest.raises(TrainingError, match=r"\[cochlea\] and \[ear\] are two ears; leave one out"):
        load_train_config(write(tmp_path, text + "[cochlea]\nchannels = 70\n"))


def test_a_data_path_starts_from_the_presets_folder(tmp_path: Path) -> None:
    relative = write(tmp_path, '[data]\nkind = "folder"\npath = "../digits"\n')
    assert load_train_config(relative).data.path == str(tmp_path / "../digits")
    absolute = write(tmp_path, '[data]\nkind = "folder"\npath = "/digits"\n')
    assert load_train_config(absolute).data.path == "/digits"


def test_a_cache_starts_from_the_presets_folder(tmp_path: Path) -> None:
    preset = write(tmp_path, '[data]\nkind = "fsdd"\ncache = "kept.npz"\n')
    assert load_train_config(preset).data.cache == str(tmp_path / "kept.npz")


def test_a_preset_asks_for_its_data_with_all_that_it_says() -> None:
    config = DataConfig(
        kind="words",
        path="/digits",
        words=["yes", "no"],
        held_out_speaker="theo",
        cache="/kept.npz",
        download=True,
        camera_seed=3,
    )
    assert config.request("train", CochleaSpec(channels=64)) == Request(
        split="train",
        path=Path("/digits"),
        labels=("yes", "no"),
        download=True,
        seed=3,
        ear=CochleaSpec(channels=64),
        cache=Path("/kept.npz"),
        held_out_speaker="theo",
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('held_out_speaker = "theo"', r"\[data\] held_out_speaker is for the data set fsdd, "),
        ('words = ["yes", "no"]', r"\[data\] words is for the data set words, .* is 'folder'"),
        ('cache = "a.npz"', r"\[data\] cache is for the data set fsdd or words, .* is 'folder'"),
        ("[cochlea]\nchannels = 64", r"\[cochlea\] is for the data set fsdd or words, "),
        ("[ear]\nkind = 'lauscher'", r"\[ear\] is for the data set fsdd or words, "),
    ],
)
def test_a_key_that_the_data_set_would_ignore_is_refused(
    tmp_path: Path, lines: str, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        load_train_config(write(tmp_path, f'[data]\nkind = "folder"\n{lines}\n'))


def test_a_home_folder_of_nobody_is_refused(tmp_path: Path) -> None:
    nobody = write(tmp_path, '[data]\nkind = "folder"\npath = "~nobodyhere/x"\n')
    with pytest.raises(TrainingError, match="'~nobodyhere/x', but that user has no home folder"):
        load_train_config(nobody)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('[network]\nneuron = "lief"', "neuron: unknown neuron 'lief'; known are adex, adlif"),
        ('[network]\nneuron = "leaky_readout"', "leaky_readout, expected one that spikes"),
        ("[network]\nranges = { c = [0.0, 1.0] }", "radlif has no parameter 'c'; it has alpha"),
        ("[network]\nranges = { a = [0.0, 2.0] }", r"a = \[0, 2\] is not within the model's"),
        ("[fit]\nlearning_rate = inf", r"\[fit\] learning_rate is inf, expected a finite number"),
    ],
)
def test_a_network_that_cannot_be_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        load_train_config(write(tmp_path, f'[data]\nkind = "folder"\n{line}\n'))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[fit]\nepoch = 3", "unknown key 'fit.epoch'; did you mean fit.epochs"),
        ("[fit]\nepochs = 0", "Expected int >= 1 - at"),
        ('[fit]\nbatch = "many"', "Expected int, got str"),
        ("[network]\nhidden = []", "length >= 1"),
        ("[network]\nhidden = [65_537]", "Expected int <= 65536"),
        ("[network]\ndropout = 1.0", "Expected float < 1"),
        ("[augment]\nrotate_deg = 180.5", "Expected float <= 180"),
        ("[augment]\nrotate_deg = inf", "Expected float <= 180"),
        ("[augment]\nzoom = nan", "Expected float"),
        ("[augment]\nshift = 1_001", "Expected int <= 1000"),
        ('[input]\ndt = "10 minutes"', "is no duration"),
        ("[cochlea]\nchanels = 64", "unknown key 'cochlea.chanels'; did you mean cochlea.channels"),
        ("[cochlea]\nlow_hz = nan", r"low_hz is nan, expected a finite number - at \$.cochlea"),
        (
            "[ear]\nkind = 'lauscher'\nchanels = 64",
            "unknown key 'ear.chanels'; did you mean ear.ch",
        ),
        (
            "[ear]\nkind = 'gammatone'",
            "ear.kind is 'gammatone'; did you mean lauscher\\? Known here: lauscher, speech2spikes",
        ),
        ("[ear]\nchannels = 64", "ear.kind is missing; Known here: lauscher, speech2spikes"),
        ("[cochlea]\nlow_hz = 9e3", "low_hz is 9000, expected less than high_hz, 8000"),
        ('[input]\nbin_mode = "median"', "Invalid enum value 'median'"),
        ('[input]\nbin_unit = "0ms"', "expected a positive multiple of 1 us"),
    ],
)
def test_a_malformed_preset_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_train_config(write(tmp_path, f'[data]\nkind = "folder"\n{line}\n'))
