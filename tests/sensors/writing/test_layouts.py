"""The layouts that others are told: read with NumPy, h5py or by hand, not by Retempo."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.files.writers.csv_text import encode_lines, encode_lines_numpy
from retempo.sensors.files.writers.dat import encode_dat
from retempo.sensors.files.writers.hdf5 import write_hdf5
from retempo.sensors.files.writing import write_recording
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.builders import make_chunk
from tests.sensors.writing.sources import Given, channel_chunk, cut, grid_chunk

GRID = GridGeometry(640, 480)
EVENTS = make_chunk(70_000, 640, 480, 900_000)
HEARD = channel_chunk([3, 5, 5, 1 << 40], [0, 63, 63, 7])
FOUR = grid_chunk([7, 7, 9, -4], [0, 639, 1, 2], [479, 0, 1, 2], [True, False, True, False])


def test_csv_of_a_grid(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.csv", Given([FOUR], GRID))
    assert (tmp_path / "a.csv").read_text() == (
        "t_us,x@640,y@480,on\n7,0,479,1\n7,639,0,0\n9,1,1,1\n-4,2,2,0\n"
    )


@given(
    rows=st.integers(1, 5).flatmap(
        lambda columns: st.lists(
            st.lists(
                st.one_of(
                    st.integers(-(1 << 63), (1 << 63) - 1),
                    st.sampled_from([0, 9, 10, -9, -10, 99, 100, -(1 << 63), (1 << 63) - 1]),
                ),
                min_size=columns,
                max_size=columns,
            ),
            min_size=1,
            max_size=20,
        )
    )
)
def test_lines_of_numbers_are_those_of_the_twin(rows: list[list[int]]) -> None:
    numbers = np.array(rows, np.int64)
    assert encode_lines(numbers) == encode_lines_numpy(numbers)


def test_csv_of_channels(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.csv", Given([HEARD], ChannelGeometry(64)))
    assert (tmp_path / "a.csv").read_text() == (f"t_us,channel@64\n3,0\n5,63\n5,63\n{1 << 40},7\n")


def test_npz_of_a_grid(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npz", Given(cut(EVENTS, [3, 66_000]), GRID))
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["t", "x", "y", "on", "width", "height", "polarities"]
        dtypes = [arrays[name].dtype for name in arrays]
        assert dtypes == [np.int64, np.uint16, np.uint16, np.bool_] + [np.dtype(np.int64)] * 3
        np.testing.assert_array_equal(arrays["t"], EVENTS.t_us)
        np.testing.assert_array_equal(arrays["x"], EVENTS.x)
        np.testing.assert_array_equal(arrays["y"], EVENTS.y)
        np.testing.assert_array_equal(arrays["on"], EVENTS.on)
        assert [int(arrays[name]) for name in list(arrays)[4:]] == [640, 480, 2]
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None


def test_npz_of_channels(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npz", Given([HEARD], ChannelGeometry(64)))
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["t", "channel", "channels"]
        assert arrays["t"].tolist() == HEARD.t_us.tolist()
        assert arrays["channel"].tolist() == [0, 63, 63, 7]
        assert int(arrays["channels"]) == 64


def test_hdf5_of_a_grid(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5", GRID, iter(cut(EVENTS, [3, 66_000])))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["events"]
        assert dict(group.attrs) == {"width": 640, "height": 480, "polarities": 2}
        assert {name: column.dtype for name, column in group.items()} == {
            "t": np.int64,
            "x": np.uint16,
            "y": np.uint16,
            "p": np.uint8,
        }
        assert {column.maxshape for column in group.values()} == {(None,)}
        np.testing.assert_array_equal(group["t"], EVENTS.t_us)
        np.testing.assert_array_equal(group["x"], EVENTS.x)
        np.testing.assert_array_equal(group["y"], EVENTS.y)
        np.testing.assert_array_equal(group["p"], np.asarray(EVENTS.on).astype(np.uint8))


def test_hdf5_of_channels(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5", ChannelGeometry(64), iter([HEARD]))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["events"]
        assert dict(group.attrs) == {"channels": 64}
        assert (group["t"].dtype, group["channel"].dtype) == (np.int64, np.uint16)
        assert group["t"][:].tolist() == HEARD.t_us.tolist()
        assert group["channel"][:].tolist() == [0, 63, 63, 7]


def test_hdf5_of_no_events(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5", GRID, iter([]))
    with h5py.File(tmp_path / "a.h5") as file:
        assert {name: column.shape for name, column in file["events"].items()} == {
            "t": (0,),
            "x": (0,),
            "y": (0,),
            "p": (0,),
        }


def test_dat_word_by_word() -> None:
    last = (1 << 14) - 1
    events = grid_chunk([1, (1 << 32) + 2], [last, 5], [3, last], [True, False])
    assert encode_dat(events) == b"".join(
        (time.to_bytes(4, "little") + word.to_bytes(4, "little"))
        for time, word in ((1, last | 3 << 14 | 1 << 28), (2, 5 | last << 14))
    )


def test_es_counts_y_from_the_bottom(tmp_path: Path) -> None:
    write_recording(
        tmp_path / "a.es", Given([grid_chunk([5], [2], [0], [True])], GridGeometry(4, 3))
    )
    head = b"Event Stream" + bytes((2, 0, 0, 1)) + bytes((4, 0, 3, 0))
    assert (tmp_path / "a.es").read_bytes() == head + bytes((5 << 1 | 1, 2, 0, 2, 0))
