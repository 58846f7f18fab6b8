"""The wheel, installed in an environment of its own that has no torch."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 280.0

# Installing takes as long as the index does.
pytestmark = [pytest.mark.light, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("retempo-*.whl")
    return built


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `retempo` of an environment that holds the wheel and its runtime alone."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--constraint", str(ROOT / "constraints.txt"), f"{wheel}[cpu]"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "retempo"


def run(light: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty folder, so that nothing of the checkout is in reach."""
    return subprocess.run(
        [str(light), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
    )


def test_the_wheel_holds_the_package_and_no_bare_rooms(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"retempo"}
    for name in ("sensors/events.py", "exporters/contract.py", "runtime/daemon.py", "py.typed"):
        assert f"retempo/{name}" in names
    assert "retempo/demo/model.onnx" in names
    assert sum(name.endswith(".bin") for name in names) >= 200
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_environment_has_no_torch(light: Path, tmp_path: Path) -> None:
    python = light.parent / "python"
    for module in ("torch", "sklearn", "tonic"):
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
        assert subprocess.run([python, "-c", code], cwd=tmp_path, check=False).returncode == 1


def test_the_demo_runs_and_draws(light: Path, tmp_path: Path) -> None:
    done = run(light, tmp_path, "demo", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["recordings"] >= 200
    assert report["live_agreeing_with_evaluation"] >= 0.99 * report["recordings"]
    percent = {(row["dt_us"], row["method"]): row["percent"] for row in report["accuracy"]}
    assert len(percent) == 20
    assert percent[10_000, "none"] >= 90.0
    assert percent[1_000, "lag"] >= percent[10_000, "none"] - 3.0
    assert percent[1_000, "none"] < 30.0
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_files_are_exported_inspected_and_replayed(
    light: Path, tmp_path: Path, run_folder: Path, demo_recordings: list[Path]
) -> None:
    done = run(light, tmp_path, "export", run_folder, "--dt", "1ms", "-o", "m.onnx", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(run(light, tmp_path, "inspect", "m.onnx", "--json").stdout)["version"] == 1
    info = json.loads(run(light, tmp_path, "info", demo_recordings[0], "--json").stdout)
    assert info["format"] == "N-MNIST"
    done = run(light, tmp_path, "replay", demo_recordings[0], "--model", "m.onnx", "--json")
    line = json.loads(done.stdout)
    assert line["counters"]["received"] == info["events"]


def test_training_says_what_it_needs(light: Path, tmp_path: Path) -> None:
    config = ROOT / "configs" / "simulated-digits.toml"
    done = run(light, tmp_path, "train", config, "--out", "run")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'retempo[train]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
