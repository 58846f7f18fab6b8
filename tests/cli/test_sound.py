"""Sound from training to replay: the ear of a run is the ear of its tests and of its model."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from retempo.cli.ear import ear_of_option
from retempo.exporters.description import ChannelSpec
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import write_step
from retempo.runtime.errors import InputError
from retempo.runtime.subscriber import Decisions
from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.ears.registry import plain
from retempo.sensors.lauscher import LauscherSpec
from tests.builders import make_network
from tests.cli.conftest import Invoke
from tests.cli.served import finals
from tests.daemons import serving
from tests.serve_config import write_config
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


EARS = {
    "gammatone?channels=24&high_hz=3600&charge_hz=3000": (
        "[cochlea]\nchannels = 24\nhigh_hz = 3600.0\ncharge_hz = 3000.0\n"
    ),
    "lauscher?channels=24&ahead_ms=100": (
        '[ear]\nkind = "lauscher"\nchannels = 24\nahead_ms = 100.0\n'
    ),
    "speech2spikes?mels=12&threshold=0.5": (
        '[ear]\nkind = "speech2spikes"\nmels = 12\nthreshold = 0.5\n'
    ),
}


@pytest.mark.parametrize("ear", EARS)
def test_a_model_is_fed_by_the_ear_that_its_network_was_trained_with(
    invoke: Invoke, words: Path, tmp_path: Path, ear: str
) -> None:
    preset, run, model = tmp_path / "preset.toml", tmp_path / "run", tmp_path / "model.onnx"
    preset.write_text(PRESET + EARS[ear])
    assert invoke("train", preset, "--out", run, "--quiet").code == 0
    assert invoke("export", run, "--method", "none", "-o", model).code == 0
    shown = invoke("inspect", model).out
    assert f"ear         {ear}\n" in shown
    contract = invoke("inspect", model, "--json").json
    assert isinstance(contract, dict)
    assert contract["network"]["input"]["ear"]["kind"] == ear.partition("?")[0]
    step = ["--dt", "10ms", "--method", "none", "--json"]
    report = invoke("evaluate", run, "--kind", "words", "--data", words, *step).json
    assert isinstance(report, dict)
    (result,) = report["results"]
    paths = [words / name for name in report["recordings"]]
    # The model alone knows its ear: nothing of the run is left.
    shutil.rmtree(run)
    outcome = invoke("replay", *paths, "--model", model, "--json")
    assert outcome.err == ""
    decided = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["label"] for line in decided] == result["decided"]
    assert result["accuracy"] >= 75.0
    assert ear_of_option(str(model)) == ear_of_option(ear)


def test_sound_that_is_published_by_the_ear_of_a_model_is_decided_as_its_replay(
    invoke: Invoke, words: Path, tmp_path: Path
) -> None:
    network = make_network(geometry=ChannelSpec(24), labels=2)
    ear = plain(LauscherSpec(channels=24, ahead_ms=60.0))
    described = msgspec.structs.replace(network.spec.input, ear=ear)
    spec = msgspec.structs.replace(network.spec, input=described)
    model = tmp_path / "model.onnx"
    write_step(Network(spec, network.weights), resolve(spec, 10_000, "none"), model)
    path = words / "test" / "low" / "0.wav"
    replayed = invoke("replay", path, "--model", model, "--json").json
    with serving(write_config(tmp_path, model=model, top="")) as served:
        with Decisions(served.decisions) as decisions:
            served.publish(path, "--ear", model)
            scores, _ = finals(decisions, {path.name})[path.name]
        refused = invoke("publish", path, "--to", served.feed)
    assert isinstance(replayed, dict)
    assert scores == replayed["scores"]
    assert refused.code == 1
    assert "24 channels" in refused.err


def test_a_model_that_says_no_ear_is_told_by_which_it_is_fed(
    invoke: Invoke, words: Path, tmp_path: Path
) -> None:
    network = make_network(geometry=ChannelSpec(700))
    model = tmp_path / "old.onnx"
    write_step(network, resolve(network.spec, 10_000, "none"), model)
    path = words / "test" / "low" / "0.wav"
    outcome = invoke("replay", path, "--model", model, "--json")
    assert outcome.code == 0
    assert outcome.err == (
        "note: old.onnx does not say by which ear it was trained; 0.wav is heard by gammatone\n"
    )
    named = invoke("replay", path, "--model", model, "--json", "--ear", "lauscher?ahead_ms=50")
    assert (named.code, named.err) == (0, "")
    assert isinstance(named.json, dict)
    assert isinstance(outcome.json, dict)
    assert named.json["counters"]["received"] != outcome.json["counters"]["received"]
    with pytest.raises(
        InputError, match=r"old\.onnx does not say by which ear it was trained; name"
    ):
        ear_of_option(str(model))


def test_an_ear_of_other_channels_is_refused_by_its_name(
    invoke: Invoke, words: Path, tmp_path: Path
) -> None:
    network = make_network(geometry=ChannelSpec(20))
    ear = plain(CochleaSpec(channels=24))
    spec = msgspec.structs.replace(
        network.spec, input=msgspec.structs.replace(network.spec.input, ear=ear)
    )
    model = tmp_path / "other.onnx"
    write_step(Network(spec, network.weights), resolve(spec, 10_000, "none"), model)
    path = words / "test" / "low" / "0.wav"
    for command in (("replay", path, "--model", model), ("inspect", model)):
        outcome = invoke(*command)
        assert outcome.code == 1
        assert "its ear gammatone?channels=24 has 24 channels; export it again" in outcome.err
    outcome = invoke("publish", path, "--to", "tcp://127.0.0.1:9", "--ear", "gammatone?chanels=3")
    assert outcome.code == 1
    assert "the ear gammatone has no setting 'chanels'" in outcome.err


def test_info_tells_what_a_sound_holds(invoke: Invoke, words: Path) -> None:
    out = invoke("info", words / "test" / "low" / "0.wav").out
    assert "0.wav (Sound)" in out
    assert "700 channels" in out
    assert "problems         none" in out
