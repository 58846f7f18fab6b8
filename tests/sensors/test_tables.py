"""Tables of events in text, NumPy arrays and archives: what is written comes back."""

import io
import zipfile
from pathlib import Path

import faery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.fragment import Fragment, split_fragment
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.tables import GRID, ROWS, Rows, moving, peak_below, rows_of

TONIC = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
DTYPES = [
    TONIC,
    faery.EVENTS_DTYPE,
    np.dtype([("timestamp", ">u8"), ("x", "<u2"), ("y", "<i4"), ("polarity", "i1")]),
    np.dtype([("p", "f4"), ("ts", "f8"), ("extra", "u1"), ("y", "f4"), ("x", "f4")]),
]


def structured(rows: Rows, dtype: np.dtype) -> np.ndarray:
    table = np.zeros(len(rows), dtype)
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    roles = {"t": 0, "ts": 0, "timestamp": 0, "x": 1, "y": 2, "p": 3, "on": 3, "polarity": 3}
    for name in table.dtype.names or ():
        if name in roles:
            table[name] = columns[roles[name]]
    return table


@given(ROWS, st.sampled_from(DTYPES), st.integers(1, 9))
def test_rows_of_named_fields_come_back_whatever_their_types_and_order(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, dtype: np.dtype, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.npy"
    np.save(path, structured(rows, dtype))
    recording = open_recording(path, geometry=GRID, chunk_events=chunk)
    assert recording.format == "NumPy"
    assert rows_of(read_all(recording)) == rows


@pytest.mark.parametrize("dtype", ["<i8", ">i8", "<u4", "<i4", "<f8", "<f4"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2, 0, 3], [1, 2, 3, 0]])
@pytest.mark.parametrize("layout", ["C", "F", "T"])
def test_four_columns_come_back_whatever_their_type_order_and_storage(
    tmp_path: Path, dtype: str, order: list[int], layout: str
) -> None:
    rows = moving(150_000 if dtype == "<i8" else 500)
    table = rows[:, order].astype(dtype)
    path = tmp_path / "a.npy"
    np.save(
        path, np.asfortranarray(table) if layout == "F" else table.T if layout == "T" else table
    )
    back = read_all(open_recording(path, geometry=GRID))
    assert rows_of(back) == [tuple(row) for row in rows.tolist()]


def test_seconds_and_channels_in_an_array_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([[0.00870833, 0.0365, 0.5], [3, 69, 0]]).T)
    chunk = read_all(open_recording(path, geometry=ChannelGeometry(70)))
    assert rows_of(chunk) == [(8_708, 3), (36_500, 69), (500_000, 0)]
    np.save(path, np.array([(7, 3, 1), (9, 4, 1)], [("t", int), ("x", int), ("p", int)]))
    assert rows_of(read_all(open_recording(path, geometry=ChannelGeometry(5)))) == [(7, 3), (9, 4)]
    with pytest.raises(RecordingError, match="holds events of channels, the geometry given is 34"):
        open_recording(path, geometry=GridGeometry(34, 34))


@given(ROWS, st.booleans(), st.booleans())
def test_an_archive_of_columns_comes_back_with_its_sensor(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, packed: bool, signed: bool
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.npz"
    t, x, y, on = np.array(rows, np.int64).reshape(-1, 4).T
    save = np.savez_compressed if packed else np.savez
    polarity = {"p": (2 * on - 1).astype(np.int8)} if signed else {"on": on.astype(bool)}
    save(path, t=t, x=x.astype(np.uint16), y=y.astype(np.uint16), width=640, height=480, **polarity)
    recording = open_recording(path)
    assert (recording.format, recording.geometry) == ("NPZ", GRID)
    assert rows_of(read_all(recording)) == rows


def test_an_archive_of_channels_or_of_one_table_or_of_several_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, t=np.array([5, 7]), channel=np.array([3, 4], np.uint16), channels=70)
    recording = open_recording(path)
    assert recording.geometry == ChannelGeometry(70)
    assert rows_of(read_all(recording)) == [(5, 3), (7, 4)]
    rows = moving(50)
    np.savez(path, events=rows[:, [1, 2, 0, 3]], label=3)
    assert rows_of(read_all(open_recording(path, geometry=GRID))) == [
        tuple(r) for r in rows.tolist()
    ]
    np.savez(path, left=rows, right=rows[:7])
    with pytest.raises(
        RecordingError, match=r"several tables: left of int64 \(50, 4\).*a\.npz#left"
    ):
        open_recording(path, geometry=GRID)
    right = open_recording(f"{path}#right&columns=t,x,y,p", geometry=GRID)
    assert (len(read_all(right)), right.name) == (7, "a.npz#right")
    assert len(read_all(open_recording(path, part="left", geometry=GRID))) == 50
    with pytest.raises(RecordingError, match="has no array 'up'; it holds left"):
        open_recording(path, part="up", geometry=GRID)
    np.savez(path, t=np.zeros(3), x=np.zeros(4), y=np.zeros(3), p=np.zeros(3))
    with pytest.raises(RecordingError, match="expected numbers, as many in each"):
        open_recording(path, geometry=GRID)
    np.savez(path, spam=np.zeros(3))
    with pytest.raises(RecordingError, match=r"holds spam of float64 \(3,\), expected arrays t, x"):
        open_recording(path, geometry=GRID)
    np.savez(path, t=np.array([{}], object), x=np.zeros(1))
    with pytest.raises(RecordingError, match="never unpickled"):
        open_recording(path, geometry=GRID)


def test_a_member_that_does_not_unpack_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    path, table = tmp_path / "a.npz", moving(200_000)
    array = io.BytesIO()
    np.save(array, table)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("events.npy", array.getvalue())
    data = bytearray(path.read_bytes())
    data[5_000_000] ^= 1
    path.write_bytes(data)
    back = read_all(open_recording(path, geometry=GRID, policy="skip"))
    assert back.problems["damaged"] == 1
    assert len(back) > 131_000
    with pytest.raises(RecordingError, match=r"cannot be read on after \d+ of 200000 rows: Bad"):
        read_all(open_recording(path, geometry=GRID))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv"])
def test_a_file_that_is_cut_or_changed_anywhere_gives_events_or_one_sensor_error(
    tmp_path: Path, name: str
) -> None:
    rows, whole = moving(300), tmp_path / name
    if name == "a.npy":
        np.save(whole, rows)
    elif name == "a.npz":
        columns = dict(zip(("t", "x", "y", "on"), rows.T, strict=True))
        np.savez_compressed(whole, width=640, height=480, **columns)
    else:
        np.savetxt(whole, rows, "%d", ",", header="t,x,y,on", comments="")
    data, draw = whole.read_bytes(), np.random.default_rng(3)
    for trial in range(600):
        broken = bytearray(data[: draw.integers(0, len(data))] if trial % 2 else data)
        for _ in range(draw.integers(0, 4) if trial % 2 else 3):
            if broken:
                broken[draw.integers(0, len(broken))] = draw.integers(0, 256)
        whole.write_bytes(broken)
        try:
            back = read_all(open_recording(whole, geometry=GRID, policy="skip"))
        except SensorError:
            continue
        assert back.x is not None
        assert len(back) <= 310
        assert (back.x < 640).all()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv"])
def test_a_large_table_takes_little_memory(tmp_path: Path, name: str) -> None:
    path, rows = tmp_path / name, moving(1_500_000)
    if name == "a.csv":
        lines = (f"{t},{x},{y},{on}\n" for t, x, y, on in rows.tolist())
        path.write_text("t,x,y,on\n" + "".join(lines))
    elif name == "a.npy":
        np.save(path, rows)
    else:
        np.savez_compressed(path, **dict(zip(("t", "x", "y", "p"), rows.T, strict=True)))
    t_sum, events = int(rows[:, 0].sum()), len(rows)
    del rows
    recording = open_recording(path, geometry=GRID)
    next(iter(recording.opened.decode()))
    with peak_below(45):
        seen = total = 0
        for chunk in recording:
            seen, total = seen + len(chunk), total + int(chunk.t_us.sum())
    assert (seen, total) == (events, t_sum)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            "0.003811000 33 39 1\n0.003820001 158 145 0\n",
            [(3_811, 33, 39, 1), (3_820, 158, 145, 0)],
        ),
        ("x;y;t_ns;pol\n1;2;1500;-1\n3;4;2499;1\n", [(2, 1, 2, 0), (2, 3, 4, 1)]),
        ("% made by hand\n# t_ms x y on\n 1.5  2\t3 1\n", [(1_500, 2, 3, 1)]),
        ("t_us,x@640,y@480,on\n5,639,479,1\n", [(5, 639, 479, 1)]),
        ("33,39,381100,1\n34,39,381200,0\n", [(381_100, 33, 39, 1), (381_200, 34, 39, 0)]),
    ],
)
def test_text_in_every_notation_is_read(tmp_path: Path, text: str, rows: Rows) -> None:
    path = tmp_path / "events.txt"
    path.write_text(text)
    assert rows_of(read_all(open_recording(path, geometry=GRID))) == rows


def test_text_of_channels_and_of_a_stated_sensor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t_us,channel@70\n5,3\n6,69\n")
    recording = open_recording(path)
    assert recording.geometry == ChannelGeometry(70)
    assert rows_of(read_all(recording)) == [(5, 3), (6, 69)]
    path.write_text("t_us,x@640,y@480,on\n5,639,479,1\n")
    assert open_recording(path).geometry == GRID


def test_the_columns_of_text_are_given_behind_the_path_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a#b.txt"
    path.write_text("1 7 2 900 3\n0 8 5 901 6\n")
    given = open_recording(f"{path}#columns=p,_,x,t,y", geometry=GRID)
    assert rows_of(read_all(given)) == [(900, 2, 3, 1), (901, 5, 6, 0)]
    again = open_recording(path, geometry=GRID, columns="p,_,x,t_ns,y")
    assert rows_of(read_all(again)) == [(1, 2, 3, 1), (1, 5, 6, 0)]
    with pytest.raises(RecordingError, match=r"has 5 columns and no names.*a#b\.txt#columns="):
        open_recording(path, geometry=GRID)
    with pytest.raises(RecordingError, match="is one table, got the part '3'"):
        open_recording(f"{path}#3", geometry=GRID)


def test_a_part_is_split_off_a_path_only_where_the_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b#1").touch()
    (tmp_path / "b").touch()
    for text, file, fragment in [
        ("a#12", "a", Fragment("12")),
        ("a#/dvs/events", "a", Fragment("/dvs/events")),
        ("a#x&columns=t,x", "a", Fragment("x", "t,x")),
        ("a#columns=t,x", "a", Fragment("", "t,x")),
        ("b#1", "b#1", Fragment()),
        ("b#1#2", "b#1", Fragment("2")),
        ("c#1", "c#1", Fragment()),
        ("#1", "#1", Fragment()),
    ]:
        assert split_fragment(tmp_path / text) == (tmp_path / file, fragment)


def test_a_format_of_one_recording_refuses_a_part_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(25))
    with pytest.raises(RecordingError, match="is one recording, got the part '3'; leave out"):
        open_recording(f"{path}#3")
    with pytest.raises(RecordingError, match="says itself what it holds, got columns=t,x"):
        open_recording(path, columns="t,x")


@pytest.mark.recordings
def test_the_published_spikes_of_a_cochlea_open_as_two_rows(recordings_folder: Path) -> None:
    path = recordings_folder / "cochlea" / "spoken_digit.lauscher70.npz"
    chunk = read_all(open_recording(path, geometry=ChannelGeometry(70)))
    times, units = np.load(path)["arr_0"]
    assert chunk.channel is not None
    assert chunk.t_us.tolist() == np.rint(times * 1e6).astype(int).tolist()
    assert chunk.channel.tolist() == units.astype(int).tolist()
