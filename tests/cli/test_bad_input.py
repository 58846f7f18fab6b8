"""Bad input: one clear line, a non-zero exit, nothing half-written."""

import shutil
import socket
from pathlib import Path

import pytest

from retempo.demo.assets import MODEL
from tests.cli.conftest import Invoke, Outcome


def one_line(outcome: Outcome, code: int = 1) -> str:
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("retempo: ")
    assert outcome.err.count("\n") == 1
    return outcome.err


@pytest.fixture
def recording(demo_recordings: list[Path]) -> Path:
    return demo_recordings[0]


def test_a_missing_recording(invoke: Invoke, demo_model: Path) -> None:
    line = one_line(invoke("replay", "nowhere.bin", "--model", demo_model))
    assert "nowhere.bin" in line
    assert "nowhere.bin" in one_line(invoke("info", "nowhere.bin"))


def test_an_unknown_format(invoke: Invoke, demo_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.xyz"
    path.write_text("no events here")
    line = one_line(invoke("replay", path, "--model", demo_model))
    assert "notes.xyz" in line
    assert "EVT3" in line


def test_a_truncated_recording(
    invoke: Invoke, demo_model: Path, recording: Path, tmp_path: Path
) -> None:
    path = tmp_path / "short.bin"
    path.write_bytes(recording.read_bytes()[:-3])
    assert "truncated" in one_line(invoke("replay", path, "--model", demo_model))


def test_a_sensor_that_the_model_does_not_expect(
    invoke: Invoke, demo_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.csv"
    path.write_text("t,x@64,y@48,on\n0,1,1,1\n")
    line = one_line(invoke("replay", path, "--model", demo_model))
    assert "model.onnx expects 34x34x2 inputs, other.csv is 64x48x2" in line


@pytest.mark.parametrize(
    ("dt", "reason"),
    [("0ms", "positive multiple of 1 us"), ("0.5us", "whole microseconds"), ("1", "no duration")],
)
def test_a_time_step_that_is_none(
    invoke: Invoke,
    demo_model: Path,
    recording: Path,
    run_folder: Path,
    tmp_path: Path,
    dt: str,
    reason: str,
) -> None:
    assert reason in one_line(invoke("replay", recording, "--model", demo_model, "--dt", dt))
    out = tmp_path / "m.onnx"
    assert reason in one_line(invoke("export", run_folder, "--dt", dt, "-o", out))
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_does_not_fit(invoke: Invoke, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    line = one_line(invoke("export", run_folder, "--dt", "20ms", "--method", "lag", "-o", out))
    assert "lag goes from coarse to fine" in line
    line = one_line(invoke("export", run_folder, "--method", "lagg", "-o", out))
    assert "unknown method 'lagg'; known are none, tau, euler, integral" in line
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_model(invoke: Invoke, demo_model: Path, recording: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(demo_model.read_bytes()[:10_000])
    for command in (["inspect", model], ["replay", recording, "--model", model]):
        assert "m.onnx is no ONNX model, or is truncated" in one_line(invoke(*command))


def test_a_run_that_is_none(invoke: Invoke, tmp_path: Path) -> None:
    line = one_line(invoke("export", tmp_path, "-o", tmp_path / "m.onnx"))
    assert "make one with retempo train" in line
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_written(invoke: Invoke, run_folder: Path, tmp_path: Path) -> None:
    line = one_line(invoke("export", run_folder, "-o", tmp_path / "no" / "m.onnx"))
    assert "No such file or directory" in line


def test_an_unknown_config_key(invoke: Invoke, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('model = "m.onnx"\n[feed]\nbnd = "tcp://127.0.0.1:1"\n')
    line = one_line(invoke("serve", config))
    assert "unknown key 'feed.bnd'; did you mean feed.bind?" in line
    config.write_text('[dta]\nkind = "folder"\n')
    assert "did you mean data" in one_line(invoke("train", config, "--out", tmp_path / "run"))
    assert list(tmp_path.iterdir()) == [config]


def test_a_port_in_use(invoke: Invoke, demo_model: Path, tmp_path: Path) -> None:
    shutil.copy(demo_model, tmp_path / "m.onnx")
    config = tmp_path / "c.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(f'model = "m.onnx"\n[feed]\nbind = "{endpoint}"\n')
        line = one_line(invoke("serve", config))
    assert endpoint in line
    assert "in use" in line


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:70000", "tcp://*:80x", "udp://a:1", "x"])
def test_an_endpoint_that_is_none(
    invoke: Invoke, demo_model: Path, recording: Path, tmp_path: Path, endpoint: str
) -> None:
    """libzmq would take port 70000 for 4464."""
    shutil.copy(demo_model, tmp_path / "m.onnx")
    config = tmp_path / "c.toml"
    config.write_text(f'model = "m.onnx"\n[feed]\nbind = "{endpoint}"\n')
    assert "is no endpoint; write tcp://" in one_line(invoke("serve", config))
    assert "write tcp://127.0.0.1:7710" in one_line(invoke("publish", recording, "--to", endpoint))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[readout]\ntau = "0us"', "[readout] tau: expected a positive multiple of 1 us"),
        ('[input]\nlateness = "soon"', "[input] lateness: 'soon' is no duration"),
        ('[readout]\nkind = "sum"', "kind"),
        ('[decisions]\nevery = "often"', "[decisions] every is bin, change or a duration"),
    ],
)
def test_a_config_value_is_named_with_its_key(
    invoke: Invoke, tmp_path: Path, text: str, message: str
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'model = "m.onnx"\n{text}\n')
    assert message in one_line(invoke("serve", config))


def test_an_output_that_cannot_take_a_file(
    invoke: Invoke, run_folder: Path, tmp_path: Path
) -> None:
    assert "it is no file" in one_line(invoke("export", run_folder, "-o", tmp_path))
    data = tmp_path / "0_1.bin"
    data.write_bytes(b"")
    line = one_line(
        invoke("evaluate", run_folder, "--data", tmp_path, "--plot", tmp_path / "a.png")
    )
    assert "0_1.bin" in line
    (tmp_path / "b.png").mkdir()
    line = one_line(
        invoke("evaluate", run_folder, "--data", tmp_path, "--plot", tmp_path / "b.png")
    )
    assert "it is a folder" in line


def test_a_run_that_cannot_be_written_is_known_before_the_training(
    invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    preset = Path(__file__).parents[2] / "configs" / "simulated-digits.toml"
    line = one_line(invoke("train", preset, "--out", tmp_path / "file" / "run"))
    assert "cannot write the run" in line
    (tmp_path / "run" / "network.json").mkdir(parents=True)
    assert "in the way" in one_line(invoke("train", preset, "--out", tmp_path / "run"))


def test_a_mask_outside_the_sensor(invoke: Invoke, demo_model: Path, tmp_path: Path) -> None:
    shutil.copy(demo_model, tmp_path / "m.onnx")
    config = tmp_path / "c.toml"
    config.write_text('model = "m.onnx"\n[input]\nmask = [[3, 34]]\n')
    assert "mask holds [3, 34], which is no address" in one_line(invoke("serve", config))


def test_evaluation_of_what_is_no_data(invoke: Invoke, run_folder: Path, tmp_path: Path) -> None:
    line = one_line(invoke("evaluate", run_folder, "--data", tmp_path / "nowhere"))
    assert "nowhere" in line
    plot = tmp_path / "a.txt"
    line = one_line(invoke("evaluate", run_folder, "--data", tmp_path, "--plot", plot))
    assert "a picture is .png, .svg or .pdf" in line


def test_a_speed_that_is_none(invoke: Invoke, demo_model: Path, recording: Path) -> None:
    outcome = invoke("replay", recording, "--model", demo_model, "--speed", "fast")
    assert "--speed is max or a number from 0.001 to 1e+06, got 'fast'" in one_line(outcome, 2)


def test_misuse_points_to_the_help(invoke: Invoke) -> None:
    assert "see retempo replay --help" in one_line(invoke("replay"), 2)
    assert "see retempo --help" in one_line(invoke("replya"), 2)
    assert "see retempo info --help" in one_line(invoke("info", "--jsn"), 2)


def test_measuring_by_nothing(
    invoke: Invoke, run_folder: Path, recording: Path, tmp_path: Path
) -> None:
    """Nothing named, nothing there, too little, another sensor; and nothing is written."""
    (tmp_path / "empty").mkdir()
    short = tmp_path / "short.bin"
    short.write_bytes(recording.read_bytes()[:100])
    other = tmp_path / "other.csv"
    other.write_text("t,x@64,y@48,on\n0,1,1,1\n")
    model = tmp_path / "model.onnx"
    export = ("export", run_folder, "--dt", "1ms", "-o", model)
    cases: list[tuple[list[object], str]] = [
        ([], "name them with --unlabelled"),
        (["--unlabelled", tmp_path / "empty"], "no recording in"),
        (["--unlabelled", short], "expected at least 100 to measure by"),
        (["--unlabelled", tmp_path / "nowhere.bin"], "nowhere.bin does not exist"),
        (["--unlabelled", recording, other], "other.csv is 64x48x2"),
    ]
    for options, message in cases:
        line = one_line(invoke(*export, "--normalisation", "measured", *options))
        assert message in line
    line = one_line(invoke(*export, "--unlabelled", recording))
    assert "--unlabelled is for --normalisation measured" in line
    coarse = ("export", run_folder, "--dt", "20ms", "--method", "lag", "-o", model)
    measured = ("--normalisation", "measured", "--unlabelled", short)
    assert "use the method substep" in one_line(invoke(*coarse, *measured))
    assert not model.exists()


def test_measured_elsewhere(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    """A model knows the statistics of its own time step alone."""
    model = tmp_path / "model.onnx"
    measured = ("--normalisation", "measured", "--unlabelled", *demo_recordings[:3])
    assert invoke("export", run_folder, "--dt", "1ms", *measured, "-o", model).code == 0
    line = one_line(invoke("replay", demo_recordings[0], "--model", model, "--dt", "2ms"))
    assert "in bins of 2000 us, known are those of 1000 us" in line
    options = ("--dt", "1ms", "--normalisation", "measured")
    line = one_line(invoke("replay", demo_recordings[0], "--model", MODEL, *options))
    assert "needs statistics of unlabelled recordings in bins of 1000 us; export" in line


def test_an_input_adaptation_that_is_none(
    invoke: Invoke, run_folder: Path, recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "0_7.bin").write_bytes(recording.read_bytes())
    command = ("evaluate", run_folder, "--data", tmp_path, "--dt", "3ms", "--input-adaptation")
    assert "unknown input adaptation 'stretch'" in one_line(invoke(*command, "stretch"))
    outcome = invoke(*command, "sum")
    assert outcome.code == 1
    assert "no method fits: input adaptation needs a whole ratio" in outcome.err
