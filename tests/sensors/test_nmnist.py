"""The N-MNIST format: reading is the exact inverse of writing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all, write_nmnist
from retempo.sensors.files.nmnist import decode_nmnist, encode_nmnist, nmnist_decoder
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.simulated import SimulatedCamera, digit_image, record
from tests.sensors.byte_files import cut, decoded

Row = tuple[int, int, int, bool]
ROWS = st.lists(
    st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 255), st.integers(0, 255), st.booleans()),
    max_size=50,
)


def chunk_of(rows: list[Row]) -> EventChunk:
    return EventChunk(
        t_us=np.array([row[0] for row in rows], np.int64),
        t_end_us=max((row[0] for row in rows), default=0),
        x=np.array([row[1] for row in rows], np.uint16),
        y=np.array([row[2] for row in rows], np.uint16),
        on=np.array([row[3] for row in rows], np.bool_),
    )


def rows_of(chunk: EventChunk) -> list[Row]:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    columns = (chunk.t_us, chunk.x, chunk.y, chunk.on)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_bytes_are_those_of_the_format() -> None:
    assert encode_nmnist(chunk_of([(0x123456, 3, 33, True), (7, 0, 255, False)])) == bytes(
        [3, 33, 0x92, 0x34, 0x56, 0, 255, 0, 0, 7]
    )


@given(ROWS)
def test_decoding_inverts_encoding(rows: list[Row]) -> None:
    decoded = decode_nmnist(encode_nmnist(chunk_of(rows)))
    columns = (decoded.t_us, decoded.x, decoded.y, decoded.on)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == rows


@given(st.binary(max_size=200).map(lambda data: data[: len(data) // 5 * 5]))
def test_encoding_inverts_decoding(data: bytes) -> None:
    columns = decode_nmnist(data)
    chunk = EventChunk(columns.t_us, 0, columns.x, columns.y, columns.on)
    assert encode_nmnist(chunk) == data


def test_a_written_recording_opens_with_the_same_events(tmp_path: Path) -> None:
    shown = record(SimulatedCamera(digit_image(5), seed=3))
    write_nmnist(tmp_path / "0_5.bin", shown)
    recording = open_recording(tmp_path / "0_5.bin")
    assert recording.format == "N-MNIST"
    assert rows_of(read_all(recording)) == rows_of(shown)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((0, 256, 0, True), "holds x from 0 to 255, got 256"),
        ((0, 0, 300, True), "holds y from 0 to 255, got 300"),
        ((2**23, 0, 0, True), "holds t_us from 0 to 8388607, got 8388608"),
        ((-1, 0, 0, True), "holds t_us from 0 to 8388607, got -1"),
    ],
)
def test_an_event_that_the_format_cannot_hold_is_refused(
    tmp_path: Path, row: Row, words: str
) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(RecordingError, match=words):
        write_nmnist(path, chunk_of([(1, 1, 1, False), row]))
    assert not path.exists()


def test_channels_and_nothing_are_refused(tmp_path: Path) -> None:
    channels = EventChunk(np.array([1], np.int64), 1, channel=np.array([1], np.uint16))
    with pytest.raises(RecordingError, match="got a chunk of channels"):
        write_nmnist(tmp_path / "a.bin", channels)
    with pytest.raises(RecordingError, match="no events would be no bytes"):
        write_nmnist(tmp_path / "a.bin", chunk_of([]))
    with pytest.raises(RecordingError, match="cannot be written"):
        write_nmnist(tmp_path / "no" / "a.bin", chunk_of([(1, 1, 1, True)]))


@pytest.mark.parametrize("rest", [1, 2, 3, 4])
def test_bytes_at_the_end_that_are_no_event_follow_the_policy(tmp_path: Path, rest: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(50 + rest))
    with pytest.raises(RecordingError, match=rf"a\.bin: it ends {rest} bytes into an event of 5"):
        read_all(open_recording(path))
    kept = read_all(open_recording(path, policy="skip"))
    assert (len(kept), kept.problems) == (10, {"truncated": 1})


def test_noise_with_the_right_suffix_is_not_taken_for_events(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(np.random.default_rng(0).bytes(5_000))
    with pytest.raises(RecordingError, match=r"no N-MNIST file of 34x34x2: \d+ of its first 1000"):
        open_recording(path)
    wide = open_recording(path, geometry=GridGeometry(256, 256))
    assert len(read_all(wide)) == 1_000


def test_the_label_in_the_name_plays_no_part(tmp_path: Path) -> None:
    rows = [(10 * k, k % 34, 2, k % 2 == 0) for k in range(40)]
    for name in ("1_7.bin", "x.bin", "7.data"):
        write_nmnist(tmp_path / name, chunk_of(rows))
        assert rows_of(read_all(open_recording(tmp_path / name))) == rows


def test_a_file_of_caltech_is_known_by_its_pixels(tmp_path: Path) -> None:
    rows = [(50 + 3 * k, 7 * k % 240, 11 * k % 180, k % 2 == 0) for k in range(500)]
    path = tmp_path / "image_0001.bin"
    path.write_bytes(encode_nmnist(chunk_of(rows)))
    recording = open_recording(path)
    assert (recording.format, recording.geometry) == ("N-Caltech101", GridGeometry(240, 180))
    assert rows_of(read_all(recording)) == rows
    wide = open_recording(path, geometry=GridGeometry(304, 240))
    assert (wide.geometry, rows_of(read_all(wide))) == (GridGeometry(304, 240), rows)


def test_a_few_strays_do_not_make_another_data_set(tmp_path: Path) -> None:
    rows = [(50 + 3 * k, k % 34, (50 if k == 9 else 5), True) for k in range(100)]
    path = tmp_path / "a.bin"
    path.write_bytes(encode_nmnist(chunk_of(rows)))
    recording = open_recording(path, policy="skip")
    assert (recording.format, recording.geometry) == ("N-MNIST", GridGeometry(34, 34))
    assert read_all(recording).problems == {"outside": 1}


def test_row_240_moves_the_time_on_where_the_sensor_has_no_such_row(tmp_path: Path) -> None:
    rows = [(10 * k, k % 34, 2, True) for k in range(40)]
    rows[20] = (0, 0, 240, False)
    path = tmp_path / "a.bin"
    path.write_bytes(encode_nmnist(chunk_of(rows)))
    times = read_all(open_recording(path)).t_us
    before = [10 * k for k in range(20)]
    assert times.tolist() == before + [10 * k + 8_192 for k in range(21, 40)]
    high = open_recording(path, geometry=GridGeometry(256, 256))
    assert rows_of(read_all(high)) == rows


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_how_the_bytes_are_cut_never_changes_the_events(data: bytes, places: list[int]) -> None:
    for grid in (GridGeometry(34, 34), GridGeometry(256, 256)):
        decoder = nmnist_decoder(grid)
        whole = decoded(decoder, [data])  # type: ignore[arg-type]
        assert decoded(decoder, cut(data, places)) == whole  # type: ignore[arg-type]
