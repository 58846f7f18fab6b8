"""`--policy` and `--geometry`: what follows from damage, and whose events they are."""

from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.cli.test_bad_input import one_line
from tests.daemons import Daemon

STRAY = bytes((200, 3, 0x81, 0, 0))


@pytest.fixture
def stray(demo_recordings: list[Path], tmp_path: Path) -> Path:
    """A recording of which one event, in its midst, is of no pixel of the sensor."""
    data = demo_recordings[0].read_bytes()
    path = tmp_path / "events" / demo_recordings[0].name
    path.parent.mkdir()
    path.write_bytes(data[:5_000] + STRAY + data[5_000:])
    return path


@pytest.fixture
def unsized(demo_recordings: list[Path], tmp_path: Path, invoke: Invoke) -> Path:
    """The same events as text that does not say how large the sensor is."""
    stated, path = tmp_path / "stated.csv", tmp_path / "plain" / "events_4.csv"
    path.parent.mkdir()
    assert invoke("convert", demo_recordings[0], stated).code == 0
    path.write_text(stated.read_text().replace("x@34,y@34", "x,y"))
    return path


def test_replay_follows_the_policy(
    invoke: Invoke, stray: Path, demo_recordings: list[Path], demo_model: Path
) -> None:
    def replayed(path: Path, *options: str) -> tuple[object, str]:
        outcome = invoke("replay", path, "--model", demo_model, *options, "--json")
        assert outcome.code == 0, outcome.err
        result = outcome.json
        assert isinstance(result, dict)
        return result["scores"], outcome.err

    failed = invoke("replay", stray, "--model", demo_model)
    assert failed.code == 1
    assert "outside the sensor of 34x34x2" in failed.err
    whole, silent = replayed(demo_recordings[0])
    assert silent == ""
    assert replayed(stray, "--policy", "skip") == (
        whole,
        f"retempo: {stray}: problems found: 1 outside\n",
    )
    stopped, told = replayed(stray, "--policy", "stop")
    assert stopped != whole
    assert "problems found: 1 outside" in told


def test_replay_is_told_the_sensor(
    invoke: Invoke, unsized: Path, demo_recordings: list[Path], demo_model: Path
) -> None:
    assert "geometry" in one_line(invoke("replay", unsized, "--model", demo_model))
    told = invoke("replay", unsized, "--model", demo_model, "--geometry", "34x34", "--json").json
    whole = invoke("replay", demo_recordings[0], "--model", demo_model, "--json").json
    assert isinstance(told, dict)
    assert isinstance(whole, dict)
    assert told["scores"] == whole["scores"]


def test_publish_follows_the_policy(served: Daemon, stray: Path, unsized: Path) -> None:
    (report,) = served.publish(stray, "--policy", "skip")
    sent = report["report"]
    assert isinstance(sent, dict)
    assert sent["problems"] == {"outside": 1}
    (report,) = served.publish(unsized, "--geometry", "34x34")
    sent_too = report["report"]
    assert isinstance(sent_too, dict)
    assert sent_too["events"] == sent["events"]


def test_evaluate_follows_the_policy(invoke: Invoke, stray: Path, run_folder: Path) -> None:
    options = ("evaluate", run_folder, "--data", stray.parent, "--method", "none", "--json")
    assert "outside the sensor" in one_line(invoke(*options))
    outcome = invoke(*options, "--policy", "skip")
    assert outcome.code == 0, outcome.err
    assert f"retempo: {stray}: problems found: 1 outside\n" in outcome.err


def test_evaluate_is_told_the_sensor(invoke: Invoke, unsized: Path, run_folder: Path) -> None:
    options = ("evaluate", run_folder, "--data", unsized.parent, "--method", "none", "--json")
    assert "geometry" in one_line(invoke(*options))
    assert invoke(*options, "--geometry", "34x34").code == 0


def test_evaluate_of_a_known_data_set_has_no_policy(invoke: Invoke, run_folder: Path) -> None:
    options = ("evaluate", run_folder, "--data", "nowhere", "--kind", "simulated-digits")
    line = one_line(invoke(*options, "--policy", "skip"), 2)
    assert "--policy and --geometry are for --kind folder" in line
