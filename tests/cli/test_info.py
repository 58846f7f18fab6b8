"""`retempo info`: what a person asks first, in one screen."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest

from retempo.cli.app import run
from retempo.sensors.columns import Columns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files import registry
from retempo.sensors.files.format import Format, Opened, OpenRequest
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import KINDS, problem
from tests.cli.conftest import Invoke

GRID = GridGeometry(40, 30)
EPOCH_US = 1_589_163_147_368_868


def events(t_us: list[int], x: list[int]) -> Columns:
    column = np.array(x, np.uint16)
    return Columns(np.array(t_us, np.int64), column, column % 30, column % 2 == 0)


def damaged(path: Path) -> Iterator[Columns]:
    """A good piece, a piece with problems, and what `path` says at its end."""
    yield events([0, 1_000, 500], [1, 2, 3])
    yield replace(events([9_000_000], [80]), problems=problem("damaged", "a bad word", 0, 12))
    if b"breaks" in path.read_bytes():
        raise RecordingError(f"{path} breaks off")


def hopeless(path: Path) -> Iterator[Columns]:
    del path
    yield no_events(problem("damaged", "nothing is right", 0, 3))


@pytest.fixture(autouse=True)
def formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two formats of recordings that are not as they should be."""

    def row(name: str, decode: Callable[[Path], Iterator[Columns]]) -> Format:
        def sniff(head: bytes, path: Path) -> bool:
            return head.startswith(name.encode())

        def opened(request: OpenRequest) -> Opened:
            return Opened(request.geometry or GRID, lambda: decode(request.path))

        return Format(name, (), sniff, opened)

    rows = (row("DAMAGED", damaged), row("HOPELESS", hopeless))
    monkeypatch.setattr(registry, "FORMATS", (*rows, *registry.FORMATS))


def test_a_damaged_recording_is_told_about_by_kind(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"DAMAGED")
    out = invoke("info", path).out
    assert f"12 damaged: {KINDS['damaged']}" in out
    assert f"1 outside: {KINDS['outside']}" in out
    assert "1 events before the one ahead of them" in out
    report = invoke("info", path, "--json").json
    assert isinstance(report, dict)
    assert report["problems"] == {"damaged": 12, "outside": 1}
    assert (report["events"], report["backward_steps"], report["ended_by"]) == (3, 1, None)


def test_a_recording_that_breaks_off_is_told_about_as_far_as_it_goes(
    invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"DAMAGED breaks")
    outcome = invoke("info", path)
    assert outcome.code == 0
    assert "reading ended early" in outcome.out
    assert "breaks off" in outcome.out
    assert "events           3" in outcome.out


def test_a_recording_of_which_nothing_can_be_read_is_an_error(
    invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"HOPELESS")
    outcome = invoke("info", path)
    assert (outcome.code, outcome.out) == (1, "")
    assert "HOPELESS of which no event can be read (3 damaged)" in outcome.err
    assert outcome.err.count("\n") == 1


def write_csv(path: Path, t_us: list[int], x: list[int]) -> Path:
    rows = [f"{t},{column},{column % 30},1" for t, column in zip(t_us, x, strict=True)]
    path.write_text("\n".join(["t,x@40,y@30,on", *rows]) + "\n")
    return path


def test_rate_hot_pixels_and_date_are_told(invoke: Invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(EPOCH_US, EPOCH_US + 2_000_000, 10_000))
    x = np.where(rng.random(10_000) < 0.3, 7, rng.integers(0, 40, 10_000))
    path = write_csv(tmp_path / "a.csv", t_us.tolist(), x.tolist())
    out = invoke("info", path).out
    assert "from 2020-05-11 02:12:27.36" in out
    share = np.count_nonzero(x == 7) / 10_000
    assert f"hot pixels       1: 7,7 ({share:.2%}, " in out
    report = invoke("info", path, "--json").json
    assert isinstance(report, dict)
    assert report["hottest"] == [{"address": [7, 7], "events": int(np.count_nonzero(x == 7))}]
    timeline = report["timeline"]
    assert sum(timeline["events"]) == 10_000
    bins = t_us // timeline["bin_us"] - timeline["start_us"] // timeline["bin_us"]
    assert timeline["events"] == np.bincount(bins, minlength=len(timeline["events"])).tolist()


def test_a_screen_holds_it_and_digests_are_told_when_asked_for(
    invoke: Invoke, demo_recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = invoke("info", demo_recordings[0]).out.splitlines()
    assert len(lines) <= 24
    # The name of a file is as long as it is.
    assert max(map(len, lines[1:])) <= 80
    assert not any(line.startswith("sha3") for line in lines)
    lines = invoke("info", demo_recordings[0], "--digests").out.splitlines()
    named = {line.split()[1]: line.split()[2] for line in lines if line.startswith("sha3-224")}
    report = invoke("info", demo_recordings[0], "--json").json
    assert isinstance(report, dict)
    assert named == report["sha3_224"]
    assert len(named) == 4


def test_a_terminal_of_ascii_gets_ascii(
    demo_recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, "ascii", write_through=True))
    assert run(["info", str(demo_recordings[0])]) == 0
    assert b"events/s" in written.getvalue()
    assert written.getvalue().isascii()


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "details"),
    [
        ("evt3.raw", "EVT 3.0, imx636_evk4, serial 00050567, recorded 2023-10-19 03:51:23"),
        ("evt2.raw", "EVT 2.0, gen3_fx3, serial 00000157, recorded 2020-09-25 07:48:31"),
        ("ncars.dat", "version 2, recorded 2017-10-31 11:29:21"),
        ("davis346.aedat4", "LZ4, DAVIS346_00000002, tracks EVTS FRME IMUS TRIG"),
        ("dvs.es", "version 2.0.0, DVS"),
        ("../pokerdvs/npy/test/cl/0.npy", "uint64 of shape (2076, 4)"),
        ("../cochlea/spoken_digit.flac", "FLAC PCM_16, 48,000 Hz, 1 sound channel"),
    ],
)
def test_version_codec_and_camera_are_told_where_the_head_knows_them(
    invoke: Invoke, recordings_folder: Path, name: str, details: str
) -> None:
    path = recordings_folder / "recordings" / name
    assert details in invoke("info", path).out
    report = invoke("info", path, "--json")
    assert json.loads(report.out)["details"] == details
