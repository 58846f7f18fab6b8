"""HDF5 files in the layouts in use."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.ecf_encoder import PACKED_24, encode_ecf
from tests.sensors.tables import GRID, ROWS, Rows, moving, peak_below, rows_of

ECF = 0x8ECF


def write_columns(file: h5py.File, group: str, rows: np.ndarray, **options: object) -> h5py.Group:
    columns = np.asarray(rows, np.int64).reshape(-1, 4).T
    made = file.require_group(group)
    for name, dtype, column in zip("txyp", ("i8", "u2", "u2", "u1"), columns, strict=True):
        made.create_dataset(name, data=column.astype(dtype), **options)
    return made


@given(ROWS, st.integers(1, 9))
def test_our_own_layout_comes_back_with_its_sensor(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.h5"
    with h5py.File(path, "w") as file:
        group = write_columns(file, "events", np.array(rows))
        group.attrs["width"], group.attrs["height"], group.attrs["polarities"] = 640, 480, 2
    recording = open_recording(path, chunk_events=chunk)
    assert (recording.format, recording.geometry) == ("HDF5", GRID)
    assert rows_of(read_all(recording)) == rows


def test_a_sensor_of_one_polarity_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = write_columns(file, "events", moving(3))
        group.attrs["width"], group.attrs["height"], group.attrs["polarities"] = 640, 480, 1
    assert open_recording(path).geometry == GridGeometry(640, 480, 1)
    path = tmp_path / "a.npz"
    np.savez(path, events=moving(3), width=640, height=480, polarities=1)
    assert open_recording(path).geometry == GridGeometry(640, 480, 1)


def test_channels_and_their_number_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        group["t"], group["channel"] = np.array([5, 7]), np.array([3, 69], "u2")
        group.attrs["channels"] = 70
    recording = open_recording(path)
    assert recording.geometry == ChannelGeometry(70)
    assert rows_of(read_all(recording)) == [(5, 3), (7, 69)]


@pytest.mark.parametrize("options", [{}, {"chunks": (7,)}, {"compression": "gzip"}])
def test_dsec_times_are_those_of_its_clock(tmp_path: Path, options: dict[str, object]) -> None:
    path, rows = tmp_path / "events.h5", moving(1_000)
    with h5py.File(path, "w") as file:
        write_columns(file, "events", rows, **options)
        file["t_offset"], file["ms_to_idx"] = np.int64(57_000_000), np.zeros(30, "u8")
    recording = open_recording(path)
    assert recording.geometry == GRID
    expected = rows + np.array([57_000_000, 0, 0, 0])
    assert rows_of(read_all(recording)) == [tuple(row) for row in expected.tolist()]


@pytest.mark.parametrize("name", ["blosc", "zstd", "lz4", "bitshuffle"])
def test_a_filter_of_hdf5plugin_is_found_by_itself(tmp_path: Path, name: str) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed")
    filters = {
        "blosc": hdf5plugin.Blosc(),
        "zstd": hdf5plugin.Zstd(),
        "lz4": hdf5plugin.LZ4(),
        "bitshuffle": hdf5plugin.Bitshuffle(),
    }
    path, rows = tmp_path / "a.h5", moving(5_000)
    with h5py.File(path, "w") as file:
        write_columns(file, "events", rows, chunks=(1_000,), **filters[name])
    back = read_all(open_recording(path, geometry=GRID))
    assert rows_of(back) == [tuple(row) for row in rows.tolist()]


def test_a_filter_that_nobody_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_filtered(path, 32_123, [b"?"], 100)
    with pytest.raises(RecordingError, match=r"HDF5 filter 32123, which needs hdf5plugin or a pl"):
        open_recording(path)


def test_mvsec_needs_to_know_which_eye(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.hdf5", moving(300)
    table = rows[:, [1, 2, 0, 3]].astype(np.float64)
    table[:, 2] = 1.5e9 + table[:, 2] / 1e6
    table[:, 3] = 2 * table[:, 3] - 1
    with h5py.File(path, "w") as file:
        file["davis/left/events"], file["davis/right/events"] = table, table[:9]
        file["davis/left/imu"] = np.zeros((40, 6))
    words = r"several tables of events: /davis/left/events, /davis/right/events; say which, as in a"
    with pytest.raises(RecordingError, match=words):
        open_recording(path, geometry=GRID)
    left = open_recording(f"{path}#/davis/left/events", geometry=GRID)
    expected = rows + np.array([1_500_000_000_000_000, 0, 0, 0])
    assert rows_of(read_all(left)) == [tuple(row) for row in expected.tolist()]
    assert len(read_all(open_recording(path, part="davis/right/events", geometry=GRID))) == 9
    with pytest.raises(RecordingError, match="has no events at /davis/up; it has /davis/left"):
        open_recording(path, part="/davis/up", geometry=GRID)


def test_units_and_rows_of_fields_and_columns_in_the_plural_are_read(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.h5", moving(40)
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        for name, column in zip(("ts", "xs", "ys", "ps"), rows.T, strict=True):
            group[name] = column.astype(bool) if name == "ps" else column
        group["ts"].attrs["units"] = "ns"
    back = read_all(open_recording(path, geometry=GRID))
    assert back.t_us.tolist() == [(t + 500) // 1_000 for t in rows[:, 0].tolist()]
    fields = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    with h5py.File(path, "w") as file:
        file["data/0"] = np.array([(x, y, t, on) for t, x, y, on in rows.tolist()], fields)
    back = read_all(open_recording(path, geometry=GRID))
    assert rows_of(back) == [tuple(row) for row in rows.tolist()]


def columns_of(rows: np.ndarray) -> tuple[list[int], list[int], list[int], list[int]]:
    t, x, y, on = rows.T.tolist()
    return t, x, y, on


SPIKES = [([0.5, 0.0087, 0.3], [3, 699, 0]), ([], []), ([1.25], [700])]


def write_shd(path: Path, dtype: str, userblock: int = 0, **options: object) -> None:
    with h5py.File(path, "w", userblock_size=userblock) as file:
        for place, (name, kind) in enumerate((("times", dtype), ("units", "u2"))):
            ragged = h5py.vlen_dtype(np.dtype(kind))
            made = file.create_dataset(f"spikes/{name}", 3, ragged, **options)
            for number, spikes in enumerate(SPIKES):
                made[number] = np.array(spikes[place], kind)
        file["labels"] = np.zeros(3, "u2")


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("options", [{}, {"chunks": 2}, {"compression": "gzip", "shuffle": True}])
def test_ragged_rows_are_read_however_they_are_stored(
    tmp_path: Path, options: dict[str, object], userblock: int
) -> None:
    path = tmp_path / "shd.h5"
    write_shd(path, ">f4", userblock, **options)
    for number, (times, units) in enumerate(SPIKES):
        back = read_all(open_recording(path, part=str(number), geometry=ChannelGeometry(701)))
        assert back.channel is not None
        assert back.channel.tolist() == units
        assert np.allclose(back.t_us / 1e6, times, atol=1e-6)


def test_a_heap_that_is_damaged_anywhere_gives_spikes_or_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "shd.h5"
    write_shd(path, "f4")
    data, draw = path.read_bytes(), np.random.default_rng(7)
    heap = data.index(b"GCOL")
    damaged = 0
    for _ in range(600):
        broken = bytearray(data)
        broken[int(draw.integers(heap, heap + 120))] ^= 1 << int(draw.integers(0, 8))
        path.write_bytes(broken)
        try:
            back = read_all(open_recording(path, part="0", policy="skip"))
        except SensorError:
            continue
        assert len(back) <= 3
        damaged += bool(back.problems)
    assert damaged > 5


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_a_recording_of_shd_is_named_by_its_number(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "shd_test.h5"
    write_shd(path, dtype)
    with pytest.raises(RecordingError, match=r"holds 3 recordings; say which, from shd_test\.h5#0"):
        open_recording(path)
    first = open_recording(f"{path}#0")
    assert (first.geometry, first.name) == (ChannelGeometry(700), "shd_test.h5#0")
    times = [int(float(np.array(t, dtype)) * 1e6 + 0.5) for t in SPIKES[0][0]]
    assert rows_of(read_all(first)) == list(zip(times, SPIKES[0][1], strict=True))
    assert list(open_recording(path, part="1")) == []
    with pytest.raises(RecordingError, match="channel 700 lies outside the sensor of 700 channels"):
        read_all(open_recording(path, part="2"))
    assert len(read_all(open_recording(path, part="2", geometry=ChannelGeometry(701)))) == 1
    for part in ("3", "x", "-1", "99999999999"):
        with pytest.raises(RecordingError, match=f"has no recording {part}, expected a"):
            open_recording(path, part=part)


def write_filtered(path: Path, code: int, chunks: list[bytes], rows: int, chunk: int = 100) -> None:
    """A file as of Metavision, its chunks written as they are."""
    fields = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    with h5py.File(path, "w") as file:
        file.attrs["geometry"] = "640x480"
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((chunk,))
        plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((rows,), (h5py.h5s.UNLIMITED,))
        kind = h5py.h5t.py_create(fields)
        made = h5py.h5d.create(file.create_group("CD").id, b"events", kind, space, dcpl=plist)
        for number, data in enumerate(chunks):
            h5py.Dataset(made).id.write_direct_chunk((number * chunk,), data, 0)
        file["CD/indexes"] = np.zeros(2, [("id", "<u8"), ("ts", "<i8")])
        file["EXT_TRIGGER/events"] = np.zeros(1, [("p", "<i2"), ("t", "<i8"), ("id", "<i2")])


def test_metavision_is_read_without_its_plugin(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.hdf5", moving(250)
    # The last chunk is filled up, as HDF5 does it.
    full = np.concatenate([rows, np.zeros((50, 4), np.int64)])
    full[250:, 0] = rows[-1, 0]
    chunks = [
        encode_ecf(*columns_of(full[start : start + 100]), packing=packing)
        for start, packing in ((0, 0), (100, 1), (200, PACKED_24))
    ]
    write_filtered(path, ECF, chunks, 250)
    recording = open_recording(path)
    assert recording.geometry == GRID
    assert rows_of(read_all(recording)) == [tuple(row) for row in rows.tolist()]
    path = tmp_path / "b.hdf5"
    write_filtered(path, ECF, [chunks[0], b"gone", chunks[2]], 250)
    back = read_all(open_recording(path, policy="skip"))
    assert rows_of(back) == [tuple(row) for row in [*rows[:100].tolist(), *rows[200:].tolist()]]
    assert back.problems == {"damaged": 1}
    with pytest.raises(RecordingError, match="the chunk at row 100: 4 bytes are no ECF chunk"):
        read_all(open_recording(path))
    path = tmp_path / "c.hdf5"
    write_filtered(path, ECF, [chunks[0]], 250)
    assert read_all(open_recording(path, policy="skip")).problems == {"damaged": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "is HDF5 without a table of events, expected datasets t, x, y and p"),
        (
            {"events/t": np.zeros(3), "events/x": np.zeros(3)},
            "states no sensor size",
        ),
        ({"events": np.zeros((3, 5))}, "is HDF5 without a table of events"),
        ({"t": np.zeros(3), "x": np.zeros(4), "y": np.zeros(3), "p": np.zeros(3)}, "without a tab"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, content: dict[str, np.ndarray], words: str
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file[name] = values
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


def test_values_that_no_event_has_are_counted_and_never_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["t"], file["x"] = np.array([1, 2**63, 3, 4], "u8"), np.array([1, 2, -3, 4], "i4")
        file["y"], file["p"] = np.array([1, 2, 3, 4]), np.array([0, 1, 1, 255], "u1")
    back = read_all(open_recording(path, geometry=GRID, policy="skip"))
    assert rows_of(back) == [(1, 1, 1, 0)]
    assert back.problems == {"time": 1, "address": 1, "polarity": 1}


def test_a_file_that_is_cut_or_changed_anywhere_gives_events_or_a_sensor_error(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write_columns(file, "events", moving(300), chunks=(50,), compression="gzip")
    data, draw = path.read_bytes(), np.random.default_rng(5)
    for trial in range(400):
        broken = bytearray(data[: draw.integers(8, len(data))] if trial % 4 == 0 else data)
        for _ in range(2):
            broken[draw.integers(0, len(broken))] ^= 1 << int(draw.integers(0, 8))
        path.write_bytes(broken)
        try:
            back = read_all(open_recording(path, geometry=GRID, policy="skip"))
        except SensorError:
            continue
        assert back.x is not None
        assert (back.x < 640).all()
        assert len(back) <= 300


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.h5", moving(2_000_000)
    with h5py.File(path, "w") as file:
        write_columns(file, "events", rows, chunks=(10_000,), compression="lzf")
    expected = int(rows[:, 0].sum())
    del rows
    recording = open_recording(path, geometry=GridGeometry(640, 480))
    next(iter(recording.opened.decode()))
    with peak_below(45):
        total = sum(int(chunk.t_us.sum()) for chunk in recording)
    assert total == expected
