"""What is written is what is read back, whatever the format, the events and the chunks."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import FORMATS, open_recording, read_all
from retempo.sensors.files.format import Format
from retempo.sensors.files.writing import writable_formats, write_recording
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.builders import make_chunk
from tests.sensors.writing.sources import (
    CHANNELS,
    SIDES,
    Given,
    Spied,
    channel_chunk,
    columns,
    cut,
    grid_chunk,
    recordings,
)

WRITTEN = {known.name: known for known in writable_formats()}
each_format = pytest.mark.parametrize("known", WRITTEN.values(), ids=WRITTEN.keys())


def written_to(folder: str | Path, known: Format) -> Path:
    return Path(folder) / f"events{known.suffixes[0]}"


def test_the_formats_that_are_written() -> None:
    assert {"DAT", "AEDAT4", "ES", "CSV", "NPZ", "HDF5", "N-MNIST"} <= set(WRITTEN)
    assert [known for known in FORMATS if known.write] == list(WRITTEN.values())


@each_format
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_events_come_back_as_they_were(known: Format, data: st.DataObject) -> None:
    source = data.draw(recordings(known.name))
    wanted = columns(read_all(source))
    with TemporaryDirectory() as folder:
        path = written_to(folder, known)
        report = write_recording(path, source, known.name)
        # N-MNIST alone states no size.
        claimed = source.geometry if known.name == "N-MNIST" else None
        recording = open_recording(path, geometry=claimed)
        # The two share their bytes; the sensor's size tells them apart.
        twins = ("N-MNIST", "N-Caltech101")
        assert recording.format in (twins if known.name in twins else (known.name,))
        assert columns(read_all(recording)) == wanted
        assert recording.geometry == source.geometry
        assert report.events == len(wanted["t_us"])
        assert (report.format, report.bytes) == (known.name, path.stat().st_size)
        assert report.t_first_us == min(wanted["t_us"], default=None)
        assert report.t_last_us == max(wanted["t_us"], default=None)
        assert [entry.name for entry in Path(folder).iterdir()] == [path.name]


@each_format
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(positions=st.lists(st.integers(0, 200_000), max_size=6))
def test_chunks_never_change_a_byte(known: Format, positions: list[int]) -> None:
    # More events than one chunk of a file, so that the cuts and the file's own cuts mix.
    whole = make_chunk(150_000, 34, 34, 8_000_000)
    grid = GridGeometry(34, 34)
    with TemporaryDirectory() as folder:
        one, other = Path(folder) / "one", Path(folder) / "other"
        write_recording(one, Given([whole], grid), known.name)
        write_recording(other, Given(cut(whole, positions), grid), known.name)
        assert one.read_bytes() == other.read_bytes()


@each_format
def test_one_polarity_is_written_as_it_is(known: Format, tmp_path: Path) -> None:
    events = grid_chunk([1, 2, 3], [0, 33, 5], [1, 2, 33], [True, True, True])
    path = written_to(tmp_path, known)
    write_recording(path, Given([events], GridGeometry(34, 34, 1)), known.name)
    recording = open_recording(path)
    assert columns(read_all(recording)) == columns(events)
    # The others do not tell how many a sensor has.
    one = known.name in ("NPZ", "HDF5")
    assert recording.geometry == GridGeometry(34, 34, 1 if one else 2)


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - set(CHANNELS)))
def test_channels_are_refused_before_they_are_read(name: str, tmp_path: Path) -> None:
    source = Spied(Given([channel_chunk([1], [2])], ChannelGeometry(64)))
    with pytest.raises(RecordingError, match="64 channels"):
        write_recording(tmp_path / "events", source, name)
    assert source.begun == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(WRITTEN) & set(SIDES)))
def test_a_sensor_too_large_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    wide = Spied(Given([grid_chunk([1], [0], [0], [True])], GridGeometry(4, SIDES[name] + 1)))
    with pytest.raises(RecordingError, match=f"{name}.* holds .*{SIDES[name]}"):
        write_recording(tmp_path / "events", wide, name)
    assert wide.begun == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted({"AEDAT4", "ES", "EVT2", "EVT3"} & set(WRITTEN)))
def test_a_time_that_goes_back_is_named(name: str, tmp_path: Path) -> None:
    # The step back lies between two chunks of the file.
    events = make_chunk(65_537, 34, 34, 1_000_000)
    events.t_us[65_536] = events.t_us[65_535] - 3
    with pytest.raises(RecordingError, match=rf"{events.t_us[65_536]} us .* {events.t_us[65_535]}"):
        write_recording(tmp_path / "events", Given([events], GridGeometry(34, 34)), name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "t_us", "says"),
    [
        ("DAT", [-1], "DAT holds times from 0 on us, got an event at -1 us"),
        ("ES", [-1], "ES holds times from 0 on us, got an event at -1 us"),
        ("AEDAT4", [0, -5], "AEDAT4 holds times from 0 on us, got an event at -5 us"),
        ("DAT", [5, 5 + (1 << 31)], "DAT counts time in 32 bits, got a step of 2147483648 us"),
        ("DAT", [1 << 31, 0], "DAT counts time in 32 bits, got a step of -2147483648 us"),
        ("ES", [3_600_000_001], "before the event at 3600000001 us would take 28,346,456 bytes"),
        ("N-MNIST", [1 << 23], "N-MNIST holds t_us from 0 to 8388607, got 8388608"),
        ("N-MNIST", [], "N-MNIST has no header"),
    ],
)
def test_times_that_a_format_cannot_hold_are_named(
    name: str, t_us: list[int], says: str, tmp_path: Path
) -> None:
    zeros = [0] * len(t_us)
    source = Given([grid_chunk(t_us, zeros, zeros, [True] * len(t_us))], GridGeometry(34, 34))
    with pytest.raises(RecordingError, match=says):
        write_recording(tmp_path / "events", source, name)
    assert list(tmp_path.iterdir()) == []


def test_a_dat_counter_wraps_in_the_midst_of_a_recording(tmp_path: Path) -> None:
    t_us = np.arange(5_000_000_000 - 300_000, 5_000_000_000 + 9_000_000_000, 1_500_000_000)
    ones = [1] * len(t_us)
    events = grid_chunk(t_us.tolist(), ones, ones, [True] * len(t_us))
    write_recording(tmp_path / "late.dat", Given([events], GridGeometry(34, 34)))
    assert columns(read_all(open_recording(tmp_path / "late.dat"))) == columns(events)
    assert b"% T0 4294967296\n" in (tmp_path / "late.dat").read_bytes()


def test_a_row_that_nmnist_takes_for_time_is_refused_before_a_file_is_there(tmp_path: Path) -> None:
    chunk = make_chunk(10, 200, 250, 1_000)
    source = Given([chunk], GridGeometry(200, 250))
    with pytest.raises(RecordingError, match=r"N-MNIST holds at most 240 rows.*got 200x250x2"):
        write_recording(tmp_path / "a.bin", source)
    assert list(tmp_path.iterdir()) == []
