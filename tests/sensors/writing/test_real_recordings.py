"""Real recordings keep their published digests from format to format and back."""

import json
from pathlib import Path

import pytest

from retempo.sensors.files import open_recording
from retempo.sensors.files.writing import writable_formats, write_recording
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.selection import FromZero, Moment, TimeRange
from retempo.sensors.summary import summarise

pytestmark = pytest.mark.recordings

CHAIN = ("DAT", "HDF5", "EVT3", "NPZ", "EVT2", "AEDAT4")
WRITTEN = [known.name for known in writable_formats()]


@pytest.mark.parametrize("name", ["evt3.raw", "evt2.raw", "davis346.aedat4", "dvs.es"])
def test_a_recording_keeps_its_digests_through_every_format(
    recordings_folder: Path, tmp_path: Path, name: str
) -> None:
    published = json.loads((recordings_folder / "recordings" / "digests.json").read_text())[name]
    source = open_recording(recordings_folder / "recordings" / name)
    geometry = source.geometry
    for step, format_name in enumerate(each for each in CHAIN if each in WRITTEN):
        path = tmp_path / f"{step}"
        write_recording(path, source, format_name)
        source = open_recording(path)
        assert (source.format, source.geometry) == (format_name, geometry)
    assert summarise(source).sha3_224 == published["sha3_224"]


@pytest.mark.parametrize("name", ["evt3.raw", "davis346.aedat4"])
def test_a_slice_is_the_same_through_text_and_event_stream(
    recordings_folder: Path, tmp_path: Path, name: str
) -> None:
    source = open_recording(recordings_folder / "recordings" / name)
    part = FromZero(TimeRange(source, Moment(1_000), Moment(100_000)))
    wanted = summarise(part)
    assert wanted.events > 1_000
    for step, format_name in enumerate(("CSV", "ES", "NPZ")):
        path = tmp_path / f"{step}"
        write_recording(path, part, format_name)
        assert summarise(open_recording(path)).sha3_224 == wanted.sha3_224


def test_nmnist_is_written_byte_by_byte_as_it_was(recordings_folder: Path, tmp_path: Path) -> None:
    paths = sorted((recordings_folder / "nmnist" / "test").glob("*.bin"))[:20]
    assert paths
    for path in paths:
        write_recording(tmp_path / "a.npz", open_recording(path), overwrite=True)
        again = open_recording(tmp_path / "a.npz", geometry=GridGeometry(34, 34))
        write_recording(tmp_path / "a.bin", again, overwrite=True)
        assert (tmp_path / "a.bin").read_bytes() == path.read_bytes()
