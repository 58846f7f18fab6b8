"""A file is whole or not there, and what stood there before stays as it was."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.errors import LiveError, RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.writing import format_to_write, writable_formats, write_recording
from retempo.sensors.filters import Filtered, parse_filter
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.builders import make_chunk
from tests.sensors.writing.sources import Given, Spied, channel_chunk, cut, grid_chunk

GRID = GridGeometry(34, 34)
EVENTS = make_chunk(200_000, 34, 34, 8_000_000)
NAMES = [known.name for known in writable_formats()]
each_format = pytest.mark.parametrize("name", NAMES)


@each_format
def test_a_source_that_fails_leaves_nothing(name: str, tmp_path: Path) -> None:
    source = Given(cut(EVENTS, [150_000]), GRID, LiveError("the camera is gone"))
    with pytest.raises(LiveError, match="the camera is gone"):
        write_recording(tmp_path / "out", source, name)
    assert list(tmp_path.iterdir()) == []


@each_format
def test_what_stood_there_stays_until_the_file_is_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"precious")
    broken = Given([EVENTS], GRID, RecordingError("it is damaged"))
    with pytest.raises(RecordingError, match="it is damaged"):
        write_recording(path, broken, name, overwrite=True)
    assert path.read_bytes() == b"precious"
    spied = Spied(Given([EVENTS], GRID))
    with pytest.raises(RecordingError, match=r"is there already; remove it, or say --overwrite"):
        write_recording(path, spied, name)
    assert (spied.begun, path.read_bytes()) == (0, b"precious")
    write_recording(path, spied, name, overwrite=True)
    assert open_recording(path).format == name
    assert list(tmp_path.iterdir()) == [path]


_LIMITED = """
import resource, sys
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.writing import write_recording
from retempo.sensors.geometry import GridGeometry
from tests.builders import make_chunk
from tests.sensors.writing.sources import Given
source = Given([make_chunk(200_000, 34, 34, 8_000_000)], GridGeometry(34, 34))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for name in sys.argv[2:]:
    try:
        write_recording(f"{sys.argv[1]}/{name}", source, name)
    except RecordingError as error:
        print(error)
"""


def test_a_disk_that_takes_no_more_is_told_and_nothing_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LIMITED, str(tmp_path), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    for name, line in zip(NAMES, told, strict=True):
        assert line.startswith(f"{tmp_path / name} cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_written_over_what_it_is_made_of(tmp_path: Path) -> None:
    path, link = tmp_path / "a.dat", tmp_path / "b.dat"
    write_recording(path, Given([EVENTS], GRID))
    link.symlink_to(path)
    source = Filtered(open_recording(path), (parse_filter("flip=x"),))
    before = path.read_bytes()
    for target in (path, link):
        with pytest.raises(RecordingError, match="is what is read; write to another file"):
            write_recording(target, source, overwrite=True)
    assert path.read_bytes() == before


def test_an_unknown_suffix_or_name_lists_what_is_written(tmp_path: Path) -> None:
    for path, name in ((tmp_path / "a.xyz", None), (tmp_path / "a.dat", "XYZ")):
        with pytest.raises(RecordingError, match="can be written") as told:
            write_recording(path, Given([EVENTS], GRID), name)
        assert "xyz" in str(told.value).lower()
        assert all(f"{known.name} (" in str(told.value) for known in writable_formats())


def test_a_name_goes_before_the_suffix_in_any_case() -> None:
    for known in writable_formats():
        assert format_to_write(Path("a.xyz"), known.name.lower()) is known
        for suffix in set(known.suffixes) - {".raw"}:
            assert format_to_write(Path(f"a{suffix.upper()}")) is known


def test_a_place_that_cannot_hold_a_file_is_told(tmp_path: Path) -> None:
    source = Given([EVENTS], GRID)
    with pytest.raises(RecordingError, match="there is no folder"):
        write_recording(tmp_path / "no" / "a.dat", source)
    folder = tmp_path / "a.dat"
    folder.mkdir()
    with pytest.raises(RecordingError, match="is a folder"):
        write_recording(folder, source, overwrite=True)


def test_events_outside_the_sensor_are_left_out_and_counted(tmp_path: Path) -> None:
    stray = grid_chunk([1, 2, 3, 4], [0, 34, 33, 99], [0, 0, 33, 0], [True] * 4)
    report = write_recording(tmp_path / "a.npz", Given([stray, stray], GRID))
    assert (report.events, report.problems) == (4, {"outside": 4})
    assert read_all(open_recording(tmp_path / "a.npz")).t_us.tolist() == [1, 3, 1, 3]
    heard = channel_chunk([1, 2], [64, 63])
    report = write_recording(tmp_path / "b.npz", Given([heard], ChannelGeometry(64)))
    assert (report.events, report.problems) == (1, {"outside": 1})


def test_what_a_source_tells_is_in_the_report(tmp_path: Path) -> None:
    def told(chunk: EventChunk, lost: int) -> EventChunk:
        counts = {"truncated": lost, "outside": 1}
        return EventChunk(
            chunk.t_us, 0, chunk.x, chunk.y, chunk.on, lost=lost, problems=counts, removed=counts
        )

    nothing = grid_chunk([], [], [], [])
    chunks = [told(each, lost) for lost, each in enumerate([nothing, *cut(EVENTS, [7]), nothing])]
    report = write_recording(tmp_path / "a.csv", Given(chunks, GRID))
    assert report.events == len(EVENTS)
    assert report.lost == 6
    assert report.problems == report.removed == {"truncated": 6, "outside": 4}
    assert (report.t_first_us, report.t_last_us) == (EVENTS.t_us.min(), EVENTS.t_us.max())


@dataclass(frozen=True)
class _Long:
    """So many events, made chunk by chunk."""

    events: int
    geometry: GridGeometry = GRID
    name: str = "long"

    def __iter__(self) -> Iterator[EventChunk]:
        rng = np.random.default_rng(0)
        for start in range(0, self.events, 50_000):
            t_us = np.arange(start, start + 50_000, dtype=np.int64)
            address = rng.integers(0, 34, 50_000).astype(np.uint16)
            yield EventChunk(t_us, start + 49_999, address, address, t_us % 3 == 0)


_PEAK = """
import re, sys
from pathlib import Path
from retempo.sensors.files.writing import write_recording
from tests.sensors.writing.test_writing import _Long

def peak_after(events):
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts afresh
    write_recording(sys.argv[1], _Long(events), name, overwrite=True)
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

for name in sys.argv[3:]:
    print(peak_after(int(sys.argv[2])) - peak_after(200_000))
"""


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    events = 4_000_000
    # Each format's first file warms it up.
    named = [name for name in NAMES for _ in range(2)]
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "out"), str(events), *named]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    grown = dict(zip(named, map(int, done.stdout.split()), strict=True))
    # The columns alone would take 13 bytes an event.
    assert {name: more for name, more in grown.items() if more >= events * 13 // 3} == {}
