"""What the commands do with good input."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from retempo.cli.app import COMMANDS
from retempo.cli.arguments import spread
from retempo.exporters.adaptation.powers import spectral_radius
from retempo.exporters.description import layer_of
from retempo.exporters.network import Network, load_network, save_network
from retempo.exporters.neurons import source_coefficients
from retempo.exporters.step_model import load_step
from tests.builders import SPIKING, make_network
from tests.cli.conftest import Invoke


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(invoke: Invoke, command: str) -> None:
    outcome = invoke(command, "--help")
    assert outcome.code == 0
    assert f"Example: retempo {command} " in outcome.out
    assert "--json" in outcome.out


def test_no_command_shows_them_all(invoke: Invoke) -> None:
    outcome = invoke()
    assert outcome.code == 0
    assert all(f"\n  {command} " in outcome.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "spread_out"),
    [
        ("evaluate r --dt 10ms 5ms --json", "evaluate r --dt 10ms --dt 5ms --json"),
        ("evaluate r --method none lag", "evaluate r --method none --method lag"),
        ("evaluate --dt 1ms -h", "evaluate --dt 1ms -h"),
        ("replay a --dt 1ms b", "replay a --dt 1ms b"),
    ],
)
def test_values_in_a_row_are_spread(typed: str, spread_out: str) -> None:
    assert " ".join(spread(typed.split(" "))) == spread_out


def test_a_run_is_exported_and_inspected(invoke: Invoke, run_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    report = invoke("export", run_folder, "--dt", "1ms", "-o", model, "--json").json
    assert isinstance(report, dict)
    assert (report["method"], report["lag"], report["target_dt_us"]) == ("auto", 10, 1_000)
    assert report["bytes"] == model.stat().st_size
    contract = invoke("inspect", model, "--json").json
    assert isinstance(contract, dict)
    assert contract["resolution"]["target_dt_us"] == 1_000
    assert contract["network"]["source_dt_us"] == 10_000
    text = invoke("inspect", model).out
    assert "1 ms, trained at 10 ms" in text
    assert "34x34x2, downsample 2, sum of each bin -> 578 inputs" in text


@pytest.mark.parametrize("neuron", SPIKING)
def test_an_export_counts_the_neurons_that_amplify(
    invoke: Invoke, tmp_path: Path, neuron: str
) -> None:
    network = make_network(neuron, (64,))
    save_network(network, tmp_path / "run")
    arguments = ("export", tmp_path / "run", "--dt", "2ms", "-o", tmp_path / "model.onnx")
    report = invoke(*arguments, "--json").json
    assert isinstance(report, dict)
    layer = layer_of(network.spec.layers[0])
    at_home = source_coefficients(layer.neuron, layer.parameters)
    growing = int((spectral_radius(at_home.A) >= 1.0).sum())
    assert report["neurons_with_spectral_radius_of_1_or_more"] == {"layer0": growing, "readout": 0}
    assert (growing > 0) == (neuron in ("adlif", "radlif"))
    note = f"note: {growing} neurons of layer0 have a spectral radius of 1 or more"
    assert (note in invoke(*arguments).out) == (growing > 0)


def test_a_scan_is_exported_and_refused_as_a_step(
    invoke: Invoke, run_folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "scan.onnx"
    outcome = invoke("export", run_folder, "--dt", "1ms", "--scan", "-o", model)
    assert outcome.code == 0
    assert "scan.onnx: a scan, " in outcome.out
    report = invoke("export", run_folder, "--scan", "-o", model, "--json").json
    assert isinstance(report, dict)
    assert report["kind"] == "scan"
    refused = invoke("inspect", model)
    assert refused.code != 0
    assert "scan.onnx is a scan over whole recordings, not a step" in refused.err


def test_an_export_names_method_and_time_step(
    invoke: Invoke, run_folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    outcome = invoke("export", run_folder, "--dt", "2.5ms", "--method", "integral", "-o", model)
    assert "10000 us -> 2500 us by integral, normalisation paper, lag 1" in outcome.out
    assert load_step(model).dt_us == 2_500


def test_replay_prints_one_json_line_a_recording(
    invoke: Invoke, demo_model: Path, demo_recordings: list[Path]
) -> None:
    chosen = demo_recordings[:3]
    outcome = invoke("replay", *chosen, "--model", demo_model, "--dt", "2.5ms", "--json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["recording"] for line in lines] == [path.name for path in chosen]
    for line, path in zip(lines, chosen, strict=True):
        assert line["dt_us"] == 2_500
        assert line["method"] == "auto"
        assert line["counters"]["received"] == path.stat().st_size // 5
        assert line["steps"] == line["counters"]["steps"]
        assert 115 <= line["steps"] <= 120
        assert line["label"] == str(np.argmax(line["scores"]))
        assert 0 < line["step_p50_us"] <= line["step_p99_us"]


def test_the_demo_network_decides_at_1_ms_what_it_learned_at_10(
    invoke: Invoke, demo_model: Path, demo_recordings: list[Path]
) -> None:
    """And does not without adaptation: that is what the product is for."""

    def right(*options: str) -> int:
        chosen = demo_recordings[:40]
        out = invoke("replay", *chosen, "--model", demo_model, "--json", *options).out
        lines = [json.loads(line) for line in out.splitlines()]
        return sum(line["recording"].endswith(f"_{line['label']}.bin") for line in lines)

    assert right("--dt", "10ms") >= 36
    assert right("--dt", "1ms", "--method", "lag") >= 36
    assert right("--dt", "1ms", "--method", "none") <= 12


def test_replay_at_the_sensors_pace_decides_the_same(
    invoke: Invoke, demo_model: Path, demo_recordings: list[Path]
) -> None:
    def scores(*options: str) -> object:
        out = invoke("replay", demo_recordings[0], "--model", demo_model, "--json", *options).out
        return json.loads(out)["scores"]

    assert scores("--speed", "5") == scores()


def test_evaluate_decides_as_replay_does(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    """Recording by recording, at every time step and by every method."""
    data, model = tmp_path / "data", tmp_path / "model.onnx"
    data.mkdir()
    for path in demo_recordings[:6]:
        (data / path.name).write_bytes(path.read_bytes())
    plot = tmp_path / "accuracy.png"
    options = ["--dt", "10ms", "3ms", "1ms", "--method", "none", "integral", "lag"]
    outcome = invoke("evaluate", run_folder, "--data", data, *options, "--plot", plot, "--json")
    report = outcome.json
    assert isinstance(report, dict)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert len(report["results"]) == 9
    invoke("export", run_folder, "--method", "none", "-o", model)
    for result in report["results"]:
        if result["reason"]:
            assert (result["method"], result["dt_us"]) == ("lag", 3_000)
            assert "divides the source's 10000 us" in result["reason"]
            continue
        step = ["--dt", f"{result['dt_us']}us", "--method", result["method"]]
        paths = [data / name for name in report["recordings"]]
        out = invoke("replay", *paths, "--model", model, *step, "--json").out
        labels = [json.loads(line)["label"] for line in out.splitlines()]
        assert labels == result["decided"]


def test_an_export_measures_by_unlabelled_recordings(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    """Files or folders, whatever their names; evaluate and the model's replay agree."""
    data, model = tmp_path / "data", tmp_path / "model.onnx"
    (data / "deep" / "er").mkdir(parents=True)
    for path in demo_recordings[:4]:
        (data / path.name).write_bytes(path.read_bytes())
    (data / "deep" / "er" / "unnamed.bin").write_bytes(demo_recordings[9].read_bytes())
    (data / ".hidden").write_bytes(b"no events")
    unlabelled = [data, demo_recordings[20]]
    measured = ["--normalisation", "measured", "--unlabelled", *unlabelled, "--json"]
    report = invoke("export", run_folder, "--dt", "2ms", "-o", model, *measured).json
    assert isinstance(report, dict)
    assert report["normalisation"] == "measured"
    assert 800 < report["measured_bins"] < 1_000
    contract = load_step(model).contract
    assert contract.resolution.statistics is not None
    assert contract.resolution.statistics.bins == report["measured_bins"]

    labelled = tmp_path / "labelled"
    labelled.mkdir()
    for path in demo_recordings[:6]:
        (labelled / path.name).write_bytes(path.read_bytes())
    command = ["evaluate", run_folder, "--data", labelled, "--dt", "2ms", "--method", "auto"]
    evaluated = invoke(*command, *measured).json
    assert isinstance(evaluated, dict)
    paths = [labelled / name for name in evaluated["recordings"]]
    lines = invoke("replay", *paths, "--model", model, "--json").out.splitlines()
    (result,) = evaluated["results"]
    assert result["decided"] == [json.loads(line)["label"] for line in lines]


def test_evaluate_adapts_the_input_beside_methods_or_alone(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    for path in demo_recordings[:6]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    command = ["evaluate", run_folder, "--data", tmp_path, "--dt", "10ms", "5ms"]
    command += ["--input-adaptation", "sum"]
    report = invoke(*command, "--json").json
    assert isinstance(report, dict)
    assert [r["method"] for r in report["results"]] == ["input:sum", "input:sum"]
    home, away = report["results"]
    assert home["decided"] == away["decided"]
    table = invoke(*command, "--method", "none").out.splitlines()
    assert [line.split()[0] for line in table[1:3]] == ["none", "input:sum"]


def test_an_export_notes_what_its_bins_lack(
    invoke: Invoke, run_folder: Path, tmp_path: Path
) -> None:
    network = load_network(run_folder)
    heard = replace(network.spec.input, bin_mode="binary")
    save_network(Network(replace(network.spec, input=heard), network.weights), tmp_path / "run")
    outcome = invoke("export", tmp_path / "run", "--dt", "1ms", "-o", tmp_path / "m.onnx")
    assert "note: the network does not say how often its binary inputs are active" in outcome.out
    home = invoke("export", tmp_path / "run", "-o", tmp_path / "m.onnx")
    assert "note: the network does not say" not in home.out
    assert "binary of each bin -> 578 inputs" in invoke("inspect", tmp_path / "m.onnx").out
    rate = replace(network.spec.input, bin_mode="mean", bin_unit_us=2_000)
    save_network(Network(replace(network.spec, input=rate), network.weights), tmp_path / "rate")
    assert invoke("export", tmp_path / "rate", "-o", tmp_path / "m.onnx").code == 0
    assert "mean of each bin in units of 2 ms -> 578" in invoke("inspect", tmp_path / "m.onnx").out
    bare = Network(replace(network.spec, input_correlation=None), network.weights)
    save_network(bare, tmp_path / "bare")
    coarse = invoke("export", tmp_path / "bare", "--dt", "20ms", "-o", tmp_path / "m.onnx")
    assert "note: the network does not keep the autocorrelation of its input" in coarse.out
    fine = invoke("export", tmp_path / "bare", "--dt", "1ms", "-o", tmp_path / "m.onnx")
    assert "note: the network does not keep" not in fine.out


def test_evaluate_takes_other_data_sets_than_folders(
    invoke: Invoke, run_folder: Path, tmp_path: Path
) -> None:
    options = ["--kind", "simulated-digits", "--dt", "10ms", "--method", "none", "--batch", "64"]
    report = invoke("evaluate", run_folder, "--data", tmp_path, *options, "--json").json
    assert isinstance(report, dict)
    (result,) = report["results"]
    assert result["total"] == 400
    assert result["accuracy"] > 95.0


def test_evaluate_prints_a_table(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "0_7.bin").write_bytes(demo_recordings[0].read_bytes())
    out = invoke("evaluate", run_folder, "--data", tmp_path, "--dt", "10ms", "20ms").out
    assert "10 ms*    20 ms" in out
    assert "- the method does not fit this time step" in out


@pytest.mark.recordings
@pytest.mark.parametrize("name", ["evt3.raw", "evt2.raw", "davis346.aedat4", "dvs.es"])
def test_info_gives_the_published_digests(
    invoke: Invoke, recordings_folder: Path, name: str
) -> None:
    folder = recordings_folder / "recordings"
    published = json.loads((folder / "digests.json").read_text())[name]
    report = invoke("info", folder / name, "--json").json
    assert isinstance(report, dict)
    assert report["sha3_224"] == published["sha3_224"]


def test_info_on_a_recording_of_the_demo(invoke: Invoke, demo_recordings: list[Path]) -> None:
    path = demo_recordings[0]
    report = invoke("info", path, "--json").json
    assert isinstance(report, dict)
    content = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5)
    assert report["events"] == len(content)
    assert report["on_share"] == (content[:, 2] >> 7).mean()
    x = content[:, 0].astype("<u2").tobytes()
    assert report["sha3_224"]["x"] == hashlib.sha3_224(x).hexdigest()
    text = invoke("info", path).out
    assert "34x34x2" in text
    assert "problems         none" in text
