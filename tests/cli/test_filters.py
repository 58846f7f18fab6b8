"""`--filter` and `[[input.filter]]`: live is replay, and a large camera fits a small network."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from retempo.sensors.files import open_recording
from tests.cli.conftest import Invoke
from tests.cli.served import finals
from tests.daemons import COMMAND, TIMEOUT_S, Daemon, serving
from tests.serve_config import BY_LAG, write_config

TEXTS = ("hot-pixels=50ms", "refractory=5ms", "background=10ms", "flip=x")
TABLES = """
    [[input.filter]]
    kind = "hot-pixels"
    learn = "50ms"
    [[input.filter]]
    kind = "refractory"
    span = "5ms"
    [[input.filter]]
    kind = "background"
    span = "10ms"
    [[input.filter]]
    kind = "flip"
    axis = "x"
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Daemon]:
    with serving(write_config(tmp_path, TABLES, top=BY_LAG)) as daemon:
        yield daemon


def options(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--filter", text)]


@pytest.mark.parametrize("pace", [(), ("--speed", "4")])
def test_a_daemon_that_filters_decides_as_a_replay_that_filters(
    invoke: Invoke,
    served: Daemon,
    demo_model: Path,
    demo_recordings: list[Path],
    pace: tuple[str, ...],
) -> None:
    """Scores and counters alike, to the last bit."""
    paths = demo_recordings[:5]
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        served.publish(*paths, *pace)
        live = finals(decisions, {path.name for path in paths})
    how = ["--model", demo_model, "--dt", "1ms", "--method", "lag", "--json"]
    out = invoke("replay", *paths, *how, *options(*TEXTS)).out
    lines = [json.loads(line) for line in out.splitlines()]
    assert live == {line["recording"]: (line["scores"], line["counters"]) for line in lines}
    assert all(line["counters"]["masked"] == sum(line["removed"].values()) > 0 for line in lines)
    assert all({"refractory", "background"} <= line["removed"].keys() for line in lines)


def test_a_publisher_that_filters_says_what_it_removed(
    served: Daemon, demo_recordings: list[Path]
) -> None:
    path = demo_recordings[0]
    (line,) = served.publish(path, "--filter", "polarity=on")
    report = line["report"]
    assert isinstance(report, dict)
    chunks = list(open_recording(path))
    off = sum(int(np.count_nonzero(~chunk.on)) for chunk in chunks if chunk.on is not None)
    assert report["removed"] == {"polarity": off}
    assert report["events"] == sum(map(len, chunks)) - off == report["counters"]["received"]


def test_serve_takes_filters_instead_of_those_of_its_configuration(
    demo_model: Path, tmp_path: Path
) -> None:
    config = tmp_path / "serve.toml"
    config.write_text(f"model = {json.dumps(str(demo_model))}\n{TABLES}")
    command = [*COMMAND, "serve", str(config), "--filter", "refractory"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False, text=True)
    assert done.returncode == 1
    assert "the filter 'refractory': '' is no duration" in done.stderr


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A recording of a sensor of 1280x720, in EVT2: a word for the time, a word for the event."""
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(0, 200_000, 5_000))
    x, y = rng.integers(0, 1_280, 5_000), rng.integers(0, 720, 5_000)
    on = rng.integers(0, 2, 5_000)
    words = np.stack([(8 << 28) | (t_us >> 6), (on << 28) | ((t_us & 63) << 22) | (x << 11) | y], 1)
    path = tmp_path / "large.raw"
    head = b"% evt 2.0\n% format EVT2;height=720;width=1280\n% geometry 1280x720\n% end\n"
    path.write_bytes(head + words.astype("<u4").tobytes())
    return path


def test_a_large_camera_feeds_a_small_network(
    invoke: Invoke, demo_model: Path, large: Path
) -> None:
    refused = invoke("replay", large, "--model", demo_model)
    assert refused.code == 1
    assert "is 1280x720x2; use the filters crop=283,3,714x714 and downsample=21" in refused.err
    fitting = options("crop=283,3,714x714", "downsample=21")
    fed = invoke("replay", large, "--model", demo_model, "--json", *fitting)
    assert fed.code == 0, fed.err
    result = json.loads(fed.out)
    counters = result["counters"]
    assert counters["received"] == 5_000
    assert counters["masked"] == result["removed"]["crop"]
    assert counters["binned"] == 5_000 - counters["masked"] > 2_000


def test_evaluate_filters_before_it_decides(
    invoke: Invoke, run_folder: Path, demo_recordings: list[Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in demo_recordings[:3]:
        (data / path.name).write_bytes(path.read_bytes())
    how = ["evaluate", run_folder, "--data", data, "--method", "none", "--json"]
    plain = invoke(*how)
    same = invoke(*how, *options("flip=x", "flip=x"))
    assert plain.code == 0, plain.err
    assert same.out == plain.out
    refused = invoke(*how, *options("downsample=2"))
    assert refused.code == 1
    assert "is 17x17x2" in refused.err
