"""`retempo convert`: a recording as another format, a part of it, filtered, in order."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.format import Format
from retempo.sensors.files.writing import writable_formats, write_recording
from retempo.sensors.geometry import GridGeometry
from tests.builders import make_chunk
from tests.cli.conftest import Invoke, Outcome
from tests.cli.test_bad_input import one_line
from tests.sensors.writing.sources import Given, columns, grid_chunk
from tests.sound import write_word

GRID = GridGeometry(64, 48)
EVENTS = make_chunk(20_000, 64, 48, 1_000_000, start_us=5_000_000)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "in.npz"
    write_recording(path, Given([EVENTS], GRID))
    return path


def report_of(outcome: Outcome) -> dict[str, object]:
    assert (outcome.code, outcome.err) == (0, "")
    report = outcome.json
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize("known", writable_formats(), ids=lambda known: known.name)
def test_every_format_is_written_and_read_back(
    invoke: Invoke, recording: Path, tmp_path: Path, known: Format
) -> None:
    out, back = tmp_path / f"out{known.suffixes[0]}", tmp_path / "back.npz"
    written = invoke("convert", recording, out, "--format", known.name, "--zero", "--json")
    assert written.code == 0, written.err
    outcome = invoke("convert", out, back, "--geometry", "64x48")
    assert outcome.code == 0, outcome.err
    events = read_all(open_recording(back))
    moved = {**columns(EVENTS), "t_us": (EVENTS.t_us - EVENTS.t_us[0]).tolist()}
    assert columns(events) == moved


def test_a_part_in_time_and_space_is_written_and_told(
    invoke: Invoke, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "part.csv"
    options = ("--from", "100ms", "--to", "@5.5s", "--crop", "8,4,32x40", "--downsample", "2")
    outcome = invoke("convert", recording, out, *options, "--filter", "flip=x")
    assert outcome.code == 0, outcome.err
    assert EVENTS.x is not None
    assert EVENTS.y is not None
    zero_us = int(EVENTS.t_us[0])
    within = (EVENTS.t_us >= zero_us + 100_000) & (EVENTS.t_us < 5_500_000)
    keep = within & (EVENTS.x >= 8) & (EVENTS.x < 40) & (EVENTS.y >= 4) & (EVENTS.y < 44)
    part = open_recording(out)
    events = read_all(part)
    assert part.geometry == GridGeometry(16, 20)
    assert events.t_us.tolist() == EVENTS.t_us[keep].tolist()
    np.testing.assert_array_equal(events.x, 15 - (EVENTS.x[keep] - 8) // 2)
    np.testing.assert_array_equal(events.y, (EVENTS.y[keep] - 4) // 2)
    came, kept = int(within.sum()), int(keep.sum())
    assert outcome.out.startswith(
        f"{out}: {came:,} events in, {kept:,} out; removed {came - kept:,} by crop; "
        f"CSV of 16x20x2, {out.stat().st_size:,} bytes, "
    )


def test_the_report_as_json(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    report = report_of(invoke("convert", recording, tmp_path / "out.dat", "--json"))
    assert report["events_in"] == len(EVENTS)
    assert report["out"] == {
        "path": str(tmp_path / "out.dat"),
        "format": "DAT",
        "geometry": {"width": 64, "height": 48, "polarities": 2},
        "events": len(EVENTS),
        "t_first_us": int(EVENTS.t_us[0]),
        "t_last_us": int(EVENTS.t_us[-1]),
        "bytes": (tmp_path / "out.dat").stat().st_size,
        "lost": 0,
        "problems": {},
        "removed": {},
    }


def test_what_is_bad_follows_the_policy(invoke: Invoke, tmp_path: Path) -> None:
    stray, out = tmp_path / "stray.csv", tmp_path / "out.npz"
    stray.write_text("t,x@34,y@34,on\n1,1,1,1\n2,34,1,1\n3,2,2,0\n4,1,99,1\n")
    assert "outside the sensor of 34x34x2" in one_line(invoke("convert", stray, out))
    assert not out.exists()
    outcome = invoke("convert", stray, out, "--policy", "skip")
    assert "2 events in, 2 out; problems: 2 outside; 2 lost; NPZ of 34x34x2" in outcome.out
    assert read_all(open_recording(out)).t_us.tolist() == [1, 3]
    invoke("convert", stray, out, "--policy", "stop", "--overwrite")
    assert read_all(open_recording(out)).t_us.tolist() == [1]


def test_events_are_put_in_order(invoke: Invoke, tmp_path: Path) -> None:
    mixed, out = tmp_path / "mixed.csv", tmp_path / "out.aedat4"
    t_us = [10, 5, 20, 15, 15, 30]
    events = grid_chunk(t_us, [0, 1, 2, 3, 4, 5], [0] * 6, [True] * 6)
    write_recording(mixed, Given([events], GRID))
    line = one_line(invoke("convert", mixed, out))
    assert "event 1 (counted from 0) at 5 us lies before the one ahead of it at 10 us" in line
    assert "at most 4 us are put in order" in one_line(
        invoke("convert", mixed, out, "--sort", "4us")
    )
    assert invoke("convert", mixed, out, "--sort", "5us").code == 0
    assert read_all(open_recording(out)).x.tolist() == [1, 0, 3, 4, 2, 5]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("out.xyz",), "those are"),
        (("out.npz", "--from", "2s", "--to", "1s"), "holds no time"),
        (("out.npz", "--from", "soon"), "is no moment"),
        (("out.npz", "--crop", "60,40,64x48"), "exceeds"),
        (("out.npz", "--crop", "here"), "crop"),
        (("out.npz", "--filter", "sharpen"), "there is no filter 'sharpen'"),
        (("out.npz", "--sort", "1"), "no duration"),
        (("in.npz",), "is what is read"),
        (("no/out.npz",), "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    invoke: Invoke, recording: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    before = recording.read_bytes()
    out, *options = arguments
    assert says in one_line(invoke("convert", recording, tmp_path / out, *options))
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]
    assert recording.read_bytes() == before


def test_sound_is_written_as_events_of_channels(invoke: Invoke, tmp_path: Path) -> None:
    spoken, out = write_word(tmp_path / "word.wav"), tmp_path / "heard.h5"
    assert invoke("convert", spoken, out).code == 0
    heard = read_all(open_recording(spoken))
    assert columns(read_all(open_recording(out))) == columns(heard)
    assert "700 channels" in one_line(invoke("convert", spoken, tmp_path / "a.raw"))


def test_a_live_source_is_for_record(invoke: Invoke, tmp_path: Path) -> None:
    line = one_line(invoke("convert", "udp://127.0.0.1:0?size=34x34", tmp_path / "a.npz"))
    assert "is live and may never end; use retempo record" in line


_SLOW = """
import signal, sys
from retempo.cli.app import run
from retempo.sensors.files import recording

def slow(self):
    for chunk in inner(self):
        yield chunk
        print("begun", flush=True)
        signal.pause()

inner = recording.Recording.__iter__
recording.Recording.__iter__ = slow
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_of_a_conversion(
    recording: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-c", _SLOW, "convert", str(recording), str(tmp_path / "out.npz")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_json_is_alone_on_stdout(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    outcome = invoke("convert", recording, tmp_path / "out.npz", "--json")
    assert json.loads(outcome.out)["source"] == str(recording)
