"""`retempo train --then-adapt`: trained coarse and adapted, against trained fine."""

import json
import shutil
from pathlib import Path

import pytest

from retempo.exporters.network import load_network
from retempo.exporters.step_model import load_step
from tests.cli.conftest import Invoke

PRESET = """
[data]
kind = "folder"

[input]
dt = "10ms"
downsample = 2

[network]
hidden = [12]

[fit]
epochs = 2
"""


@pytest.fixture
def folder(tmp_path: Path, demo_recordings: list[Path]) -> Path:
    """A few of the demonstration's recordings, split."""
    for split, chosen in (("train", demo_recordings[:24]), ("test", demo_recordings[24:34])):
        (tmp_path / "data" / split).mkdir(parents=True)
        for path in chosen:
            shutil.copy(path, tmp_path / "data" / split / path.name)
    labels = {path.stem.split("_")[1] for path in (tmp_path / "data" / "train").iterdir()}
    for path in (tmp_path / "data" / "test").iterdir():
        if path.stem.split("_")[1] not in labels:
            path.unlink()
    (tmp_path / "preset.toml").write_text(PRESET)
    return tmp_path


def test_both_ways_are_trained_measured_and_kept(invoke: Invoke, folder: Path) -> None:
    run = folder / "run"
    arguments = (
        "train",
        folder / "preset.toml",
        "--data",
        folder / "data",
        "--out",
        run,
        "--quiet",
    )
    report = invoke(*arguments, "--then-adapt", "2.5ms", "--json").json
    assert isinstance(report, dict)
    assert report == json.loads((run / "then-adapt.json").read_text())
    assert report["method"] == "auto"
    ways = {name: report[name] for name in ("home", "adapted", "native")}
    assert {name: (w["trained_dt_us"], w["stepped_dt_us"]) for name, w in ways.items()} == {
        "home": (10_000, 10_000),
        "adapted": (10_000, 2_500),
        "native": (2_500, 2_500),
    }
    assert ways["adapted"]["training_s"] == ways["home"]["training_s"] > 0.0
    assert 0.0 < ways["adapted"]["adapting_s"] < ways["native"]["training_s"]
    assert load_network(run).spec.source_dt_us == 10_000
    assert load_network(run / "native-2.5ms").spec.source_dt_us == 2_500
    model = load_step(run / "model.onnx")
    assert (model.dt_us, model.contract.resolution.method) == (2_500, "auto")
    for name, way in ways.items():
        source = run / "native-2.5ms" if name == "native" else run
        dt_us, method = way["stepped_dt_us"], "auto" if name == "adapted" else "none"
        out = invoke(
            *("evaluate", source, "--data", folder / "data" / "test", "--dt", f"{dt_us}us"),
            *("--method", method, "--batch", "50", "--json"),
        ).json
        assert isinstance(out, dict)
        assert out["results"][0]["accuracy"] == way["accuracy"]


def test_the_table_puts_the_ways_side_by_side(invoke: Invoke, folder: Path) -> None:
    out = invoke(
        *("train", folder / "preset.toml", "--data", folder / "data", "--out", folder / "run"),
        *("--quiet", "--then-adapt", "20ms"),
    ).out
    rows = {line[:13].strip(): line for line in out.splitlines()}
    assert set(rows) >= {"at home", "adapted", "trained there"}
    assert "times as fast as training there" in out
    assert " ms" in rows["adapted"].rpartition("+")[2]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--then-adapt", "10ms"], "trains at 10 ms already; name another step"),
        (["--then-adapt", "20ms", "--method", "lag"], "use the method substep"),
        (["--then-adapt", "soon"], "'soon' is no"),
        (["--method", "lag"], "--method goes with --then-adapt"),
    ],
)
def test_what_cannot_be_is_said_before_any_training(
    invoke: Invoke, folder: Path, options: list[str], reason: str
) -> None:
    run = folder / "run"
    outcome = invoke(
        "train", folder / "preset.toml", "--data", folder / "data", "--out", run, *options
    )
    assert outcome.code == 1
    assert reason in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not run.exists()


def test_a_folder_without_test_recordings_is_refused_before_any_training(
    invoke: Invoke, folder: Path
) -> None:
    shutil.rmtree(folder / "data" / "test")
    run = folder / "run"
    outcome = invoke(
        *("train", folder / "preset.toml", "--data", folder / "data", "--out", run),
        *("--then-adapt", "5ms"),
    )
    assert outcome.code == 1
    assert "has no folder 'test'" in outcome.err
    assert not run.exists()
