"""Sources by their text."""

from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.collect import read_all
from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.files import write_nmnist
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.open import open_source
from retempo.sensors.simulated import SimulatedCamera, digit_image, record


def test_a_path_opens_the_recording(tmp_path: Path) -> None:
    shown = record(SimulatedCamera(digit_image(1)))
    path = tmp_path / "1.bin"
    write_nmnist(path, shown)
    for text in (path, str(path)):
        assert read_all(open_source(text)).t_us.tolist() == shown.t_us.tolist()


def test_a_file_that_exists_is_opened_even_where_its_name_looks_like_a_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nmnist(tmp_path / "run:1.bin", record(SimulatedCamera(digit_image(1))))
    monkeypatch.chdir(tmp_path)
    assert open_source("run:1.bin").name == "run:1.bin"


def test_the_geometry_reaches_the_reader(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 4), np.uint64))
    assert open_source(tmp_path / "a.npy", GridGeometry(99, 9)).geometry == GridGeometry(99, 9)


def test_a_simulated_digit_is_the_camera_before_that_digit() -> None:
    source = open_source("simulated:7?seed=5")
    assert source.name == "simulated:7?seed=5"
    expected = record(SimulatedCamera(digit_image(7), seed=5))
    assert read_all(source).t_us.tolist() == expected.t_us.tolist()
    assert read_all(open_source("simulated:7")).t_us.tolist() != expected.t_us.tolist()
    assert open_source("simulated:7", GridGeometry(64, 48)).geometry == GridGeometry(64, 48)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("simulated:", "shows '', expected a digit, as in simulated:3"),
        ("simulated:12", "shows '12', expected a digit"),
        ("simulated:x?seed=1", "shows 'x', expected a digit"),
        ("simulated:3?sede=1", "unknown option sede, expected seed"),
        ("simulated:3?seed=-1", "seed '-1', expected a whole number"),
        ("simulated:3?seed=", "seed '', expected a whole number"),
        ("usb:0", "unknown scheme usb, expected a file's path or simulated:3"),
    ],
)
def test_a_text_that_names_no_source_is_refused(text: str, words: str) -> None:
    with pytest.raises(SensorError, match=words) as caught:
        open_source(text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_by_its_path() -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.raw does not exist"):
        open_source("nowhere.raw")


def test_a_camera_before_channels_is_refused() -> None:
    with pytest.raises(SensorError, match="is a camera, got the geometry 70 channels"):
        open_source("simulated:3", ChannelGeometry(70))
