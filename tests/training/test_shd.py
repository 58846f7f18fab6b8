"""Spiking Heidelberg Digits, read from small files of its layout, and refused in one clear line."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from retempo.sensors.geometry import ChannelGeometry
from retempo.training.datasets import Request, open_dataset
from retempo.training.datasets.shd import read_shd
from retempo.training.errors import DatasetError


def write_shd(path: Path, recordings: int = 4) -> None:
    """The layout of the published files: ragged half-precision seconds and 16-bit units."""
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        spikes = file.create_group("spikes")
        times = spikes.create_dataset("times", (recordings,), h5py.vlen_dtype(np.float16))
        units = spikes.create_dataset("units", (recordings,), h5py.vlen_dtype(np.uint16))
        for index in range(recordings):
            times[index] = rng.uniform(0.0, 1.2, 50 + index).astype(np.float16)
            units[index] = rng.integers(0, 700, 50 + index).astype(np.uint16)
        file["labels"] = np.arange(recordings, dtype=np.uint16) % 2
        file.create_group("extra")["keys"] = np.array([b"null", b"eins"])


def test_shd_is_read_as_sorted_channel_events_in_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "shd_train.h5"
    write_shd(path)
    dataset = open_dataset("shd", Request("train", tmp_path))
    assert dataset.labels == ("null", "eins")
    assert dataset.targets == (0, 1, 0, 1)
    assert dataset.geometry == ChannelGeometry(700)
    with h5py.File(path) as file:
        seconds, units = file["spikes/times"][2], file["spikes/units"][2]
    order = np.argsort(seconds, kind="stable")
    events = dataset[2].events
    np.testing.assert_array_equal(events.t_us, np.rint(seconds[order].astype(float) * 1e6))
    np.testing.assert_array_equal(events.channel, units[order])


def test_a_file_that_is_no_shd_is_named(tmp_path: Path) -> None:
    (tmp_path / "shd_test.h5").write_bytes(b"nothing like HDF5")
    with pytest.raises(DatasetError, match=r"shd_test\.h5 is no SHD file"):
        open_dataset("shd", Request("test", tmp_path))


@pytest.mark.parametrize(
    ("column", "dtype", "value", "message"),
    [
        ("times", np.float16, np.nan, "has the time nan s, expected 0 s to 86400 s"),
        ("times", np.float16, np.inf, "has the time inf s, expected 0 s to 86400 s"),
        ("times", np.float16, -0.5, r"has the time -0\.5 s, expected 0 s to 86400 s"),
        ("times", np.float64, 1e300, r"has the time 1e\+300 s, expected"),
        ("units", np.uint16, 700, "has the unit 700, expected 0 to 699"),
        ("units", np.int16, -3, "has the unit -3, expected 0 to 699"),
        ("units", np.float32, 3.5, "has units of float32 in 1 dimensions, expected a row of whole"),
    ],
)
def test_shd_with_an_impossible_spike_is_refused(
    tmp_path: Path, column: str, dtype: type, value: float, message: str
) -> None:
    path = tmp_path / "shd_train.h5"
    write_shd(path)
    with h5py.File(path, "a") as file:
        spikes = file["spikes"]
        rows = [row.astype(dtype) for row in spikes[column][:]]
        rows[1][7] = value
        del spikes[column]
        spikes.create_dataset(column, (len(rows),), h5py.vlen_dtype(dtype))
        for index, row in enumerate(rows):
            spikes[column][index] = row
    with pytest.raises(DatasetError, match=f"is damaged: recording [01] {message}"):
        read_shd(path)


def test_shd_with_more_times_than_units_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shd_train.h5"
    write_shd(path)
    with h5py.File(path, "a") as file:
        file["spikes/units"][1] = np.zeros(50, np.uint16)
    with pytest.raises(DatasetError, match="recording 1 has 51 times and 50 units, expected as"):
        read_shd(path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("extra/keys", [b"null", b"\xff"], r"extra/keys holds b'\\xff', expected words in UTF-8"),
        ("labels", [b"null"] * 4, r"labels are .*, expected whole numbers, the places of words in"),
        ("labels", [0.5] * 4, "labels are float64, expected whole numbers"),
    ],
)
def test_shd_with_unreadable_labels_is_refused(
    tmp_path: Path, name: str, values: list[object], message: str
) -> None:
    path = tmp_path / "shd_train.h5"
    write_shd(path)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = np.array(values)
    with pytest.raises(DatasetError, match=f"is damaged: {message}"):
        read_shd(path)
