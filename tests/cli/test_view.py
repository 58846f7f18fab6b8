"""`retempo view`: a picture or a film, or one clear line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retempo.view.colours import BACKGROUND, OFF, ON
from tests.cli.conftest import Invoke, Outcome

US = 1_000_000


def write_csv(path: Path, rows: list[tuple[int, int, int, int]], size: str = "x@40,y@30") -> Path:
    lines = [",".join(map(str, row)) for row in rows]
    x, y = size.split(",")
    path.write_text("\n".join([f"t,{x},{y},on", *lines]) + "\n")
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        (int(t), int(rng.integers(0, 40)), int(rng.integers(0, 30)), int(rng.integers(0, 2)))
        for t in np.sort(rng.integers(0, US, 5_000))
    ]
    return write_csv(tmp_path / "a.csv", rows)


def one_line(outcome: Outcome, code: int = 1) -> str:
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("retempo: ")
    assert outcome.err.count("\n") == 1
    return outcome.err


def colours_of(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}


def test_a_picture_is_drawn_of_what_was_asked_for(
    invoke: Invoke, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    options = ("--from", "100ms", "--to", "600ms", "--json")
    report = invoke("view", recording, "-o", out, *options).json
    assert isinstance(report, dict)
    t_us = np.loadtxt(recording, delimiter=",", skiprows=1)[:, 0]
    since = t_us - t_us[0]
    expected = int(((since >= 100_000) & (since < 600_000)).sum())
    assert (report["events"], report["frames"]) == (expected, 1)
    assert {ON, OFF, BACKGROUND} <= colours_of(out)
    assert "a.png: 5,000 events over" in invoke("view", recording, "-o", out).out


def test_a_filter_takes_its_events_out_of_the_picture(
    invoke: Invoke, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    report = invoke("view", recording, "-o", out, "--filter", "crop=0,0,20x30", "--json").json
    assert isinstance(report, dict)
    x = np.loadtxt(recording, delimiter=",", skiprows=1)[:, 1]
    assert report["events"] == int((x < 20).sum())
    line = one_line(invoke("view", recording, "-o", out, "--filter", "no-such-filter"))
    assert "no-such-filter" in line


def test_a_film_has_a_frame_a_step_and_slow_motion_more(
    invoke: Invoke, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.mp4"
    for options, frames in ((("--fps", "20"), 20), (("--fps", "20", "--speed", "0.5"), 40)):
        report = invoke("view", recording, "-o", out, *options, "--json").json
        assert isinstance(report, dict)
        assert report["frames"] == frames
    assert out.read_bytes()[4:8] == b"ftyp"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.mp4"]


def test_what_cannot_be_drawn_is_said_and_nothing_is_written(
    invoke: Invoke, recording: Path, tmp_path: Path
) -> None:
    png = tmp_path / "a.png"
    late = ("--from", "5s")
    empty = write_csv(tmp_path / "empty.csv", [])
    long = write_csv(tmp_path / "long.csv", [(0, 1, 1, 1), (US * 86_400, 1, 1, 1)])
    cases: list[tuple[tuple[object, ...], str]] = [
        ((recording, "-o", tmp_path / "a.gif"), "a view is .png or .mp4, got 'a.gif'"),
        ((recording, "-o", tmp_path / "no" / "a.png"), "there is no folder"),
        ((recording, "-o", png, *late), "there is nothing to draw: a.csv has no events"),
        ((recording, "-o", tmp_path / "a.mp4", *late), "there is nothing to draw"),
        ((empty, "-o", png), "there is nothing to draw"),
        ((long, "-o", tmp_path / "a.mp4"), "the film would have 2,592,001 frames"),
        ((tmp_path / "nowhere.raw", "-o", png), "nowhere.raw does not exist"),
        ((recording, "-o", png, "--window", "0ms"), "expected a positive"),
        ((recording, "-o", png, "--from", "2s", "--to", "1s"), "2000000 us to 1000000 us holds no"),
    ]
    for arguments, message in cases:
        assert message in one_line(invoke("view", *arguments))
    for arguments, message in [
        ((recording, "-o", png, "--fps", "0"), "--fps is above 0"),
        ((recording, "-o", png, "--speed", "-1"), "--speed is above 0"),
    ]:
        assert message in one_line(invoke("view", *arguments), 2)
    folder = tmp_path / "b.png"
    folder.mkdir()
    assert "it is a folder" in one_line(invoke("view", recording, "-o", folder))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.csv", "empty.csv", "long.csv", "b.png"}


@pytest.mark.recordings
@pytest.mark.parametrize(
    "name",
    [
        "recordings/evt3.raw",
        "recordings/evt2.raw",
        "recordings/davis346.aedat4",
        "recordings/dvs.es",
        "recordings/ncars.dat",
        "nmnist/test/60001_7.bin",
        "pokerdvs/npy/test/cl/0.npy",
        "cochlea/spoken_digit.flac",
        "fsdd/0_jackson_2.wav",
    ],
)
def test_every_real_recording_can_be_looked_at(
    invoke: Invoke, recordings_folder: Path, tmp_path: Path, name: str
) -> None:
    report = invoke("view", recordings_folder / name, "-o", tmp_path / "a.png", "--json").json
    info = invoke("info", recordings_folder / name, "--json").json
    assert isinstance(report, dict)
    assert isinstance(info, dict)
    assert report["events"] == info["events"]
    assert ON in colours_of(tmp_path / "a.png")
