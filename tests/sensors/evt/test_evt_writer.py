"""EVT2 and EVT3 files that we write hold exactly their events, in their order."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import faery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.evt.encoder import encode_plain, nothing_written, time_highs
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.evt import EVT2, EVT3
from retempo.sensors.files.evt_writer import write_evt
from retempo.sensors.files.percent_header import read_percent_header
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.evt.streams import DTYPES

Columns = list[NDArray[Any]]
TURN_US = {"2": 1 << 34, "3": 1 << 24}
VERSIONS = pytest.mark.parametrize("version", ["2", "3"])


@st.composite
def recorded(draw: st.DrawFn) -> tuple[GridGeometry, Columns]:
    """A sensor and the columns of its events, in the order of time."""
    grid = GridGeometry(draw(st.sampled_from((5, 31, 32, 33, 100, 2_048))), 2_048)
    count = draw(st.integers(0, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    often = draw(st.sampled_from((0.0, 0.3, 0.9)))
    shares = [0.25 * (1 - often)] * 4 + [often / 6] * 6
    gaps = rng.choice([0, 0, 0, 0, 1, 70, 4_096, 2**23 + 1, 2**24, 2**36], count, p=shares)
    x = rng.integers(0, grid.width, count)
    if draw(st.booleans()):
        x = np.sort(x)
    y = rng.integers(0, draw(st.sampled_from((1, 2, 2_048))), count)
    on = rng.random(count) < draw(st.sampled_from((0.0, 0.5, 1.0)))
    begin = draw(st.sampled_from((0, 4_095 << 12, 2**24 - 1, 2**34 + 5, 1_589_000_000_000_000)))
    return grid, [np.cumsum(gaps) + begin, x.astype(np.uint16), y.astype(np.uint16), on]


def chunks_of(columns: Columns, size: int) -> list[EventChunk]:
    t_us, x, y, on = columns
    places = [*range(0, len(t_us), size), len(t_us)]
    return [
        EventChunk(t_us[a:b], int(t_us[b - 1]), x=x[a:b], y=y[a:b], on=on[a:b])
        for a, b in pairwise(places)
    ]


@VERSIONS
@given(recorded(), st.integers(1, 100))
def test_what_is_written_reads_back_equal_and_is_what_the_twin_writes(
    version: Literal["2", "3"], recording: tuple[GridGeometry, Columns], size: int
) -> None:
    grid, columns = recording
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.raw")
        write_evt(version, path, grid, iter(chunks_of(columns, size)))
        opened = open_recording(path)
        assert (opened.format, opened.geometry) == (f"EVT{version}", grid)
        back = read_all(opened)
        content = path.read_bytes()
    assert not back.problems
    for ours, theirs in zip((back.t_us, back.x, back.y, back.on), columns, strict=True):
        assert ours is not None
        assert ours.tolist() == theirs.tolist()
    header = read_percent_header(content)
    t0_us = columns[0][0] // TURN_US[version] * TURN_US[version] if len(columns[0]) else 0
    if size >= len(columns[0]):
        t_us, x, y, on = columns
        plain = encode_plain(version, t_us - t0_us, x, y, on, grid.width, nothing_written())
        written = np.frombuffer(content[header.size :], DTYPES[version])
        assert written.tolist() == plain
    assert ("t0" in header.text) == (t0_us > 0)


def test_events_of_one_row_and_time_share_the_vectors_of_cameras(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    x = np.arange(40, 72, dtype=np.uint16)
    columns = [np.full(32, 9), x, np.full(32, 3, np.uint16), np.ones(32, np.bool_)]
    write_evt("3", path, GridGeometry(64 + 8, 10), iter(chunks_of(columns, 100)))
    content = path.read_bytes()
    assert content.startswith(
        b"% evt 3.0\n% format EVT3;height=10;width=72\n% geometry 72x10\n% end\n"
    )
    words = np.frombuffer(content[read_percent_header(content).size :], "<u2").tolist()
    assert words == [0x8000, 0x6009, 0x0003, 0x3828, 0x4FFF, 0x4FFF, 0x50FF]


@pytest.mark.parametrize(("high", "target"), [(-1, 4_095), (0, 4_095), (5, 40_000), (4_094, 4_097)])
def test_silence_is_written_in_steps_that_every_decoder_follows(high: int, target: int) -> None:
    steps = time_highs(high, target, 12)
    clock = max(high, 0)
    for before, after in pairwise([clock % 4_096, *steps]):
        # A wrap goes from the last value to 0; no other step is longer than half the range.
        assert (before, after) == (4_095, 0) or 0 < after - before <= 2_048
        clock += (after - before) % 4_096
    assert clock == target


def column_chunk(t_us: list[int], x: int = 0, y: int = 0) -> EventChunk:
    count = len(t_us)
    return EventChunk(
        np.array(t_us, np.int64),
        max(t_us),
        np.full(count, x, np.uint16),
        np.full(count, y, np.uint16),
        np.zeros(count, np.bool_),
    )


@VERSIONS
@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([column_chunk([5, 4])], "in the order of time, got 4 us after 5 us; sort them \\(--sort"),
        ([column_chunk([5]), column_chunk([4])], "got 4 us after 5 us"),
        ([column_chunk([-1])], "holds no times before 0, got -1 us"),
        ([column_chunk([0, 367 * 86_400_000_000])], "cannot tell a silence of 367 days"),
        ([column_chunk([1], x=10)], "at 1 us with x 10, y 0 lies outside the sensor of 10x10x2"),
        ([column_chunk([1], y=10)], "with x 0, y 10 lies outside"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_leaves_no_file(
    tmp_path: Path, version: Literal["2", "3"], chunks: list[EventChunk], words: str
) -> None:
    path = tmp_path / "a.raw"
    with pytest.raises(RecordingError, match=words) as caught:
        write_evt(version, path, GridGeometry(10, 10), iter(chunks))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("geometry", [GridGeometry(2_049, 5), ChannelGeometry(70)])
def test_a_sensor_beyond_the_addresses_of_evt_is_refused(
    tmp_path: Path, geometry: GridGeometry | ChannelGeometry
) -> None:
    with pytest.raises(RecordingError, match="holds a grid of up to 2048x2048"):
        write_evt("3", tmp_path / "a.raw", geometry, iter(()))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no/a\.raw cannot be written: No such file"):
        write_evt("2", tmp_path / "no" / "a.raw", GridGeometry(5, 5), iter(()))


@VERSIONS
def test_faery_reads_what_we_write_silence_and_late_clocks_included(
    tmp_path: Path, version: Literal["2", "3"]
) -> None:
    rng, path = np.random.default_rng(5), tmp_path / "a.raw"
    grid, count = GridGeometry(346, 260), 2_000
    gaps = np.repeat(rng.choice([0, 1, 50, 5_000, 9_000_000, 60_000_000], count // 20), 20)
    gaps[np.arange(count) % 20 > 0] = 0
    x = np.sort(rng.integers(0, 346, (count // 20, 20)), axis=1).ravel()
    y = np.repeat(rng.integers(0, 260, count // 20), 20)
    columns = [np.cumsum(gaps) + 2**36 + 7, x.astype(np.uint16), y.astype(np.uint16), gaps > 0]
    write_evt(version, path, grid, iter(chunks_of(columns, 300)))
    theirs = np.concatenate(list(faery.events_stream_from_file(path)))
    for name, column in zip(("t", "x", "y", "on"), columns, strict=True):
        assert theirs[name].tolist() == column.tolist()


@pytest.mark.recordings
@pytest.mark.parametrize("known", [EVT2, EVT3])
def test_a_real_recording_survives_the_way_through_our_writers(
    recordings_folder: Path, tmp_path: Path, known: Any
) -> None:
    source = open_recording(recordings_folder / "recordings" / "evt3.raw")
    path = tmp_path / "a.raw"
    known.write(path, source.geometry, iter(source))
    whole, back = read_all(source), read_all(open_recording(path))
    for name in ("t_us", "x", "y", "on"):
        assert (getattr(back, name) == getattr(whole, name)).all()
