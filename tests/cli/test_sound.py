"""Sound from training to replay: the cochlea of a run is the cochlea of its tests."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.sound import write_word

PITCHES_HZ = {"high": 700.0, "low": 150.0}
PRESET = """
[data]
kind = "words"
path = "words"
cache = "kept/events.npz"
[input]
dt = "10ms"
downsample = 4
[network]
hidden = [16]
dropout = 0.0
[fit]
epochs = 15
batch = 4
learning_rate = 2e-2
"""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    for word, pitch_hz in PITCHES_HZ.items():
        for take in range(6):
            split = "test" if take < 2 else "train"
            write_word(tmp_path / "words" / split / word / f"{take}.wav", pitch_hz + 5.0 * take)
    return tmp_path / "words"


def test_a_network_learns_words_and_replay_decides_a_file_as_evaluate_does(
    invoke: Invoke, words: Path, tmp_path: Path
) -> None:
    preset, run, model = tmp_path / "preset.toml", tmp_path / "run", tmp_path / "model.onnx"
    preset.write_text(PRESET)
    assert invoke("train", preset, "--out", run).code == 0
    assert (tmp_path / "kept" / "events-train.npz").is_file()
    step = ["--dt", "10ms", "--method", "none"]
    report = invoke("evaluate", run, "--kind", "words", "--data", words, *step, "--json").json
    assert isinstance(report, dict)
    (result,) = report["results"]
    assert result["accuracy"] == 100.0
    assert invoke("export", run, "--method", "none", "-o", model).code == 0
    paths = [words / name for name in report["recordings"]]
    out = invoke("replay", *paths, "--model", model, "--json").out
    assert [json.loads(line)["label"] for line in out.splitlines()] == result["decided"]


def test_the_cochlea_of_a_preset_hears_the_tests_too(
    invoke: Invoke, words: Path, tmp_path: Path
) -> None:
    preset, run = tmp_path / "preset.toml", tmp_path / "run"
    preset.write_text(PRESET + "[cochlea]\nchannels = 24\ncharge_hz = 3000.0\n")
    assert invoke("train", preset, "--out", run, "--quiet").code == 0
    options = ["--kind", "words", "--data", words, "--dt", "10ms", "--method", "none"]
    report = invoke("evaluate", run, *options, "--json").json
    assert isinstance(report, dict)
    assert report["results"][0]["total"] == 4
    folder = ("evaluate", run, "--data", words / "test", "--dt", "10ms", "--method", "none")
    again = invoke(*folder, "--json").json
    assert isinstance(again, dict)
    assert again["results"][0]["decided"] == report["results"][0]["decided"]
    measured = ("--normalisation", "measured", "--unlabelled", words / "train")
    model = tmp_path / "model.onnx"
    assert invoke("export", run, "--dt", "2ms", *measured, "-o", model, "--json").code == 0
    (run / "training.json").write_text("{")
    outcome = invoke("evaluate", run, *options)
    assert outcome.code == 1
    assert "training.json is unreadable" in outcome.err


def test_info_tells_what_a_sound_holds(invoke: Invoke, words: Path) -> None:
    out = invoke("info", words / "test" / "low" / "0.wav").out
    assert "0.wav (Sound)" in out
    assert "700 channels" in out
    assert "problems         none" in out
