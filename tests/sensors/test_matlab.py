"""MATLAB files of ST-MNIST kind."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.tables import rows_of

scipy_io = pytest.importorskip("scipy.io", reason="scipy is not installed")

TOUCH = st.lists(
    st.tuples(
        st.integers(1, 10**6),
        st.dictionaries(st.integers(0, 99), st.sampled_from([-1, 1]), max_size=5),
    ),
    min_size=1,
    max_size=12,
)


def spiketrain(touch: list[tuple[int, dict[int, int]]]) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """The variable of a file, `(101, moments)`, and its events."""
    rows: list[tuple[int, ...]] = []
    table, now_us = np.zeros((101, len(touch))), 0
    for moment, (step_us, taxels) in enumerate(touch):
        now_us += step_us
        table[100, moment] = now_us / 1e6
        for taxel in sorted(taxels):
            table[taxel, moment] = taxels[taxel]
            rows.append((now_us, taxel % 10, taxel // 10, int(taxels[taxel] > 0)))
    return table, rows


def write_7_3(path: Path, **variables: np.ndarray) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file[name] = values.T
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


@given(TOUCH, st.booleans())
def test_touches_come_back_from_either_version(
    tmp_path_factory: pytest.TempPathFactory,
    touch: list[tuple[int, dict[int, int]]],
    newer: bool,
) -> None:
    path = tmp_path_factory.mktemp("a") / "LUT_1_a.mat"
    table, rows = spiketrain(touch)
    if newer:
        write_7_3(path, spiketrain=table)
    else:
        scipy_io.savemat(path, {"spiketrain": table, "label": 3}, do_compression=len(rows) > 3)
    recording = open_recording(path)
    assert (recording.format, recording.geometry) == ("MATLAB", GridGeometry(10, 10))
    assert rows_of(read_all(recording)) == rows


def test_values_that_matlab_stores_as_smaller_numbers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    for dtype in (np.int8, np.uint8, np.int16, np.int32, np.float32, np.uint64):
        table = np.zeros((101, 3), dtype)
        table[7], table[100] = [0, 1, 0], [0, 1, 2]
        scipy_io.savemat(path, {"before": "some text", "spiketrain": table})
        assert rows_of(read_all(open_recording(path))) == [(1_000_000, 7, 0, 1)], dtype


def test_a_file_that_ends_early_gives_the_moments_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    table, rows = spiketrain([(5, {3: 1, 4: -1})] * 20)
    scipy_io.savemat(path, {"spiketrain": table})
    path.write_bytes(path.read_bytes()[:-9_000])
    back = read_all(open_recording(path, policy="skip"))
    assert rows_of(back) == rows[: len(back)]
    assert (len(back), back.problems) == (16, {"damaged": 1})
    with pytest.raises(RecordingError, match="it ends 12 of 20 columns early"):
        read_all(open_recording(path))


@pytest.mark.parametrize("newer", [False, True])
def test_another_file_is_refused_with_what_it_holds(tmp_path: Path, newer: bool) -> None:
    path = tmp_path / "a.mat"

    def write(**variables: np.ndarray) -> None:
        if newer:
            write_7_3(path, **variables)
        else:
            scipy_io.savemat(path, variables)

    write(faces=np.zeros((3, 4)), names=np.zeros((1, 7)))
    words = r"holds the variables faces \[3, 4\], names \[1, 7\], expected spiketrain with a row"
    with pytest.raises(RecordingError, match=words):
        open_recording(path)
    write(spiketrain=np.zeros((257, 9)))
    with pytest.raises(RecordingError, match=r"holds spiketrain \[257, 9\], expected 101 rows for"):
        open_recording(path)
    assert list(open_recording(path, geometry=GridGeometry(16, 16))) == []
    with pytest.raises(RecordingError, match="holds events of a pixel grid, the geometry given is"):
        open_recording(path, geometry=ChannelGeometry(100))
    with pytest.raises(RecordingError, match="is one recording, got the part '1'"):
        open_recording(path, part="1", geometry=GridGeometry(16, 16))


@pytest.mark.parametrize("newer", [False, True])
def test_a_spike_that_is_neither_on_nor_off_is_counted(tmp_path: Path, newer: bool) -> None:
    path = tmp_path / "a.mat"
    table, rows = spiketrain([(5, {3: 1}), (7, {50: -1, 60: 1}), (9, {0: 1})])
    table[60, 1] = 2
    table[100, 2] = np.inf
    if newer:
        write_7_3(path, spiketrain=table)
    else:
        scipy_io.savemat(path, {"spiketrain": table})
    back = read_all(open_recording(path, policy="skip"))
    assert rows_of(back) == rows[:2]
    assert back.problems == {"polarity": 1, "time": 1}


@pytest.mark.parametrize("newer", [False, True])
def test_a_file_that_is_cut_or_changed_anywhere_gives_events_or_a_sensor_error(
    tmp_path: Path, newer: bool
) -> None:
    path = tmp_path / "a.mat"
    table, _ = spiketrain([(5, {3: 1, 4: -1})] * 20)
    if newer:
        write_7_3(path, spiketrain=table)
    else:
        scipy_io.savemat(path, {"spiketrain": table}, do_compression=True)
    data, draw = path.read_bytes(), np.random.default_rng(5)
    for trial in range(300):
        broken = bytearray(data[: draw.integers(40, len(data))] if trial % 3 == 0 else data)
        for _ in range(2):
            place = int(draw.integers(20, len(broken)))
            broken[place] ^= 1 << int(draw.integers(0, 8))
        path.write_bytes(broken)
        try:
            back = read_all(open_recording(path, policy="skip"))
        except SensorError:
            continue
        assert back.x is not None
        assert (back.x < 10).all()


def test_a_variable_whose_name_is_no_print_is_listed_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"abcd": np.zeros((2, 3))})
    path.write_bytes(path.read_bytes().replace(b"abcd", b"a\nb\0"))
    with pytest.raises(RecordingError, match=r"holds the variables a\\nb\\x00 \[2, 3\], expected"):
        open_recording(path)
