"""Small files made here: what opens, what is refused, and with which words."""

from pathlib import Path

import faery
import numpy as np
import pytest

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.summary import summarise

GRID = GridGeometry(34, 34)


def faery_events(count: int) -> np.ndarray:
    events = np.zeros(count, faery.EVENTS_DTYPE)
    events["t"] = 1_000 + 10 * np.arange(count)
    events["x"] = np.arange(count) % 34
    events["y"] = np.arange(count) % 31
    events["on"] = np.arange(count) % 3 == 0
    return events


def test_a_recording_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([[5, 1, 2, 1]], np.uint64))
    assert isinstance(open_recording(path), Source)


def test_an_event_outside_the_geometry_is_named_or_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([[5, 1, 2, 1], [6, 400, 2, 0], [7, 34, 34, 0]], np.uint64))
    seen: list[EventChunk] = []
    words = r"event at 6 us with x 400, y 2 lies outside the sensor of 35x35x2.*policy skip"
    poker = GridGeometry(35, 35)
    with pytest.raises(RecordingError, match=words):
        seen.extend(open_recording(path, chunk_events=1, geometry=poker))
    assert [chunk.t_us.tolist() for chunk in seen] == [[5]]
    skipped = read_all(open_recording(path, geometry=GRID, policy="skip"))
    assert (skipped.t_us.tolist(), skipped.lost, skipped.problems) == ([5], 2, {"outside": 2})
    stopped = read_all(open_recording(path, policy="stop", geometry=poker))
    assert (stopped.t_us.tolist(), stopped.problems) == ([5], {"outside": 1})
    with pytest.raises(RecordingError, match="the policy is 'go', expected one of skip, stop"):
        open_recording(path, policy="go")  # type: ignore[arg-type]


def test_times_that_go_back_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    times = [10, 30, 20, 40]
    np.save(path, np.array([[t, 1, 1, 0] for t in times], np.uint64))
    chunks = list(open_recording(path, chunk_events=2))
    assert [chunk.t_us.tolist() for chunk in chunks] == [[10, 30], [20, 40]]
    assert [chunk.t_end_us for chunk in chunks] == [20, 40]
    assert summarise(open_recording(path)).backward_steps == 1


def test_a_numpy_table_without_events_yields_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((0, 4), np.uint64))
    assert list(open_recording(path)) == []
    assert len(read_all(open_recording(path))) == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.zeros((3, 5), np.uint64), "has 5 columns and no names for them; say what they hold"),
        (np.zeros(4, np.uint64), r"holds an array of uint64 \(4,\), expected rows of t, x, y and"),
        (np.zeros((3, 4), complex), r"holds an array of complex128 \(3, 4\), expected rows of"),
        (np.array([{}], object), "Python objects, which are never unpickled"),
        (np.zeros(3, [("t", "<i8"), ("x", "<u2")]), "give its geometry, as in --geometry 70"),
        (np.zeros(3, [("t", "<i8"), ("z", "<u2")]), "holds rows of t, z, expected t, x, y and on"),
        (np.zeros((3, 4), np.int64), "states no sensor size; give its geometry"),
    ],
)
def test_a_numpy_file_that_is_no_event_table_is_refused(
    tmp_path: Path, table: np.ndarray, words: str
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, table, allow_pickle=True)
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ([1 << 63, 0, 0, 0], "time", "row 1 holds t = 9223372036854775808, expected"),
        ([0, 1 << 16, 0, 0], "address", "row 1 holds x = 65536, expected a whole number from 0"),
        ([0, 0, 0, 2], "polarity", "row 1 holds on = 2, expected 1/0, 1/-1 or true/false"),
    ],
)
def test_a_numpy_value_that_no_event_has_is_named_or_left_out_and_counted(
    tmp_path: Path, row: list[int], kind: str, words: str
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([[5, 1, 2, 1], row, [7, 3, 4, 0]], np.uint64))
    columns = "t,x,y,p"
    with pytest.raises(RecordingError, match=words):
        read_all(open_recording(path, geometry=GRID, columns=columns))
    skipped = read_all(open_recording(path, geometry=GRID, columns=columns, policy="skip"))
    assert (skipped.t_us.tolist(), skipped.problems) == ([5, 7], {kind: 1})


def test_a_truncated_numpy_table_gives_its_whole_rows_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((100, 4), np.uint64))
    path.write_bytes(path.read_bytes()[:1000])
    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match=r"a\.npy: it states 100 rows and holds 27; copy or"):
        seen.extend(open_recording(path))
    assert sum(len(chunk) for chunk in seen) == 27
    skipped = read_all(open_recording(path, policy="skip"))
    assert (len(skipped), skipped.problems) == (27, {"truncated": 73})


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("a.aedat4", None),
        ("a.es", None),
        ("a.dat", None),
        ("a.raw", "evt2"),
        ("a.raw", "evt3"),
        ("a.csv", None),
    ],
)
def test_what_faery_writes_reads_back_equal(tmp_path: Path, name: str, version: str | None) -> None:
    events = faery_events(500)
    if name == "a.es":
        # faery writes ES files from time 0 on.
        events["t"] -= events["t"][0]
    path = tmp_path / name
    faery.events_stream_from_array(events, (34, 34)).to_file(path, version=version)
    recording = open_recording(path, chunk_events=64)
    chunk = read_all(recording)
    assert recording.geometry == GRID
    assert chunk.t_us.tolist() == events["t"].tolist()
    for name_, column in (("x", chunk.x), ("y", chunk.y), ("on", chunk.on)):
        assert column is not None
        assert column.tolist() == events[name_].tolist()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"t,x,y,on\n1,2,3,1\n", r"states no sensor size; give its geometry"),
        ("a.csv", b"name,age\nx,1\n", "expected a head line that names t, x, y and on"),
        ("a.raw", b"\x00" * 64, "states no EVT version"),
        ("a.raw", b"% evt 4.0\n" + b"\x00" * 64, "states EVT 4, expected"),
        ("a.raw", b"% evt 2.1\n" + b"\x00" * 64, "give its geometry"),
        ("a.raw", b"% evt 3.0\n% endianness odd\n", "states the byte order 'odd' for EVT 3"),
        ("a.raw", b"% evt 3.0\n% endianness legacy\n", "expected little or big, or legacy for"),
        ("a.raw", b"% evt 3.0\n" + b"\x00" * 64, "give its geometry"),
        ("a.raw", b"% evt 3.0\n% geometry 0x10\n", "states a size that no sensor has"),
        ("a.dat", b"% Version 2\n", "header ends without the event's type"),
        ("a.dat", b"% Version 3\n\x00\x08", "is DAT version 3, expected version 1 or 2"),
        ("a.dat", b"% Version 2\n\x0e\x08", "events of type 0x0e and 8 bytes, expected change"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n123", "unreadable header"),
        ("a.es", b"Event Stream\x02", "unreadable header"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00", "no readable NumPy table"),
        ("a.xyz", b"something else", r"a\.xyz is in no known format \(it begins with"),
        ("a.bin", b"", r"a\.bin is empty \(0 bytes\)"),
        ("a.raw", b"", r"a\.raw is empty \(0 bytes\)"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=words) as caught:
        open_recording(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_directory_and_an_unreadable_chunk_size_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(RecordingError, match=r"no\.bin does not exist; give the path"):
        open_recording(tmp_path / "no.bin")
    with pytest.raises(RecordingError, match=r"is a directory; give the path of one file"):
        open_recording(tmp_path)
    with pytest.raises(RecordingError, match=r"chunk_events is 0, expected at least 1"):
        open_recording(tmp_path / "no.bin", chunk_events=0)


def test_a_row_of_channels_is_no_geometry_for_a_pixel_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((1, 4), np.uint64))
    with pytest.raises(RecordingError, match=r"holds events of a pixel grid.*70 channels"):
        open_recording(path, geometry=ChannelGeometry(70))


def test_a_file_that_goes_away_between_opening_and_reading_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.npy", "a.bin", "a.dat", "a.es")]
    np.save(paths[0], np.zeros((1, 4), np.uint64))
    paths[1].write_bytes(bytes(25))
    paths[2].write_bytes(b"% Version 2\n\x0c\x08" + bytes(8))
    faery.events_stream_from_array(faery_events(5), (34, 34)).to_file(paths[3])
    for path in paths:
        recording = open_recording(path)
        path.unlink()
        with pytest.raises(RecordingError) as caught:
            list(recording)
        assert str(path) in str(caught.value)


def evt2(t_us: int, x: int, y: int) -> list[int]:
    """The words TIME_HIGH and CD_ON of EVT 2.0."""
    return [(8 << 28) | (t_us >> 6), (1 << 28) | ((t_us & 63) << 22) | (x << 11) | y]


def test_an_evt2_event_outside_the_size_in_its_own_header_follows_the_policy(
    tmp_path: Path,
) -> None:
    words = [*evt2(640, 9, 3), *evt2(700, 20, 3), *evt2(704, 5, 9)]
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.0\n% geometry 10x10\n" + np.array(words, "<u4").tobytes())
    with pytest.raises(RecordingError, match=r"the event at 700 us with x 20, y 3 lies outside"):
        list(open_recording(path))
    skipped = read_all(open_recording(path, policy="skip"))
    assert (skipped.t_us.tolist(), skipped.problems) == ([640, 704], {"outside": 1})
    stopped = read_all(open_recording(path, policy="stop"))
    assert (stopped.t_us.tolist(), stopped.problems) == ([640], {"outside": 1})


HEADERS_21 = [
    ("% evt 2.1\n% geometry 320x320\n% endianness little\n% end\n", "<u8"),
    ("% format EVT21;height=320;width=320\n% geometry 320x320\n", "<u8"),
    ("% evt 2.1\n% format EVT21;height=320;width=320;endianness=legacy\n% end\n", "legacy"),
    ("% evt 2.1\n% plugin_name hal_plugin_genx320\n% endianness big\n% end\n", ">u8"),
    ("% evt 2.1\n% geometry 320x320\n% end\n", "legacy"),
]


@pytest.mark.parametrize(("header", "order"), HEADERS_21)
def test_evt21_is_read_in_the_order_of_its_header_or_else_of_its_words(
    tmp_path: Path, header: str, order: str
) -> None:
    upper = [*evt2(640, 64, 3), *evt2(704, 5, 9)]
    words = np.array([value << 32 | 0x4000_0001 for value in upper], np.uint64)
    stored = words.astype("<u8" if order == "legacy" else order)
    if order == "legacy":
        stored = stored.view("<u4").reshape(-1, 2)[:, ::-1].copy()
    path = tmp_path / "a.bin"
    path.write_bytes(header.encode() + stored.tobytes())
    recording = open_recording(path)
    chunk = read_all(recording)
    assert (recording.format, recording.geometry) == ("EVT2.1", GridGeometry(320, 320))
    assert chunk.t_us.tolist() == [640, 640, 704, 704]
    assert chunk.x is not None
    assert chunk.x.tolist() == [64, 94, 5, 35]


@pytest.mark.parametrize("version", ["2", "3"])
def test_words_in_big_endian_are_read_if_the_header_says_so(tmp_path: Path, version: str) -> None:
    words = np.array(evt2(640, 64, 3), ">u4")
    if version == "3":
        words = np.array([0x8000, 0x6000 | 640, 3, 0x2800 | 64], ">u2")
    path = tmp_path / "a.raw"
    header = f"% evt {version}.0\n% format EVT{version};height=480;width=640;endianness=big\n"
    path.write_bytes(header.encode() + words.tobytes())
    chunk = read_all(open_recording(path))
    assert chunk.t_us.tolist() == [640]
    assert chunk.x is not None
    assert chunk.x.tolist() == [64]


def test_the_32_bit_clock_of_dat_runs_on_through_its_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    times = [2**32 - 20, 2**32 - 10, 2**32 - 11, 5, 2**32 - 1, 9]
    words = np.array([[time, (1 << 28) | (7 << 14) | 3] for time in times], "<u4")
    path.write_bytes(b"% Version 2\n\x0c\x08" + words.tobytes())
    base = 2**32
    expected = [base - 20, base - 10, base - 11, base + 5, base - 1, base + 9]
    assert read_all(open_recording(path)).t_us.tolist() == expected
