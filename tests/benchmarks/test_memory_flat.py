"""The recordings that the benchmark of memory makes are of the format that it says."""

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.memory_flat import GEOMETRIES, MAKERS, chunks_of, repeated, written
from retempo.sensors.files import FORMATS, open_recording
from retempo.sensors.files.format import Format

BY_NAME = {known.name: known for known in FORMATS}


def events_of(path: Path) -> int:
    return sum(len(chunk) for chunk in open_recording(path, policy="skip"))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_maker_makes_its_format_and_as_much_as_asked_for(name: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    MAKERS[name](small, 20_000)
    MAKERS[name](large, 80_000)
    assert open_recording(large).format == name
    assert 3.0 <= events_of(large) / events_of(small) <= 5.0


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_what_a_format_writes_itself_opens_as_that_format(known: Format, tmp_path: Path) -> None:
    make = written(known)
    assert (make is None) == (known.write is None)
    if make is not None:
        path = tmp_path / f"a{known.suffixes[0]}"
        make(path, 70_000)
        assert open_recording(path, policy="skip").format == known.name
        assert events_of(path) == 70_000


@pytest.mark.recordings
def test_a_real_recording_is_repeated_whole(recordings_folder: Path, tmp_path: Path) -> None:
    make = repeated(BY_NAME["ES"], recordings_folder)
    assert make is not None
    path = tmp_path / "a.es"
    make(path, 2 * 473_225)
    assert open_recording(path).format == "ES"
    assert events_of(path) == 2 * 473_225
    assert repeated(BY_NAME["AEDAT4"], recordings_folder) is None


def test_drawn_chunks_go_on_in_time() -> None:
    for geometry in GEOMETRIES:
        chunks = list(chunks_of(150_000, geometry))
        assert sum(map(len, chunks)) == 150_000
        assert all(before.t_end_us <= after.t_us[0] for before, after in pairwise(chunks))
