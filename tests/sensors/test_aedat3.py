"""AEDAT 3.1: packets of cAER, what is passed over, and what a damaged file still gives."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.aedat3 import aedat3_decoder
from retempo.sensors.geometry import GridGeometry
from tests.sensors.byte_files import AEDAT3_HEADER, Event, cut, decoded, packet, polarity

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2**31 - 1),
        st.integers(0, 2**15 - 1),
        st.integers(0, 2**15 - 1),
        st.booleans(),
    ),
    max_size=12,
)
SPECIAL = packet([struct.pack("<II", 1 | (3 << 1), 77)], kind=0)
FRAME = packet([bytes(36 + 64)], kind=2, time_offset=12)


def a_packet(begin: int, size: int = 20) -> list[Event]:
    return [(begin + k, k % 128, (3 * k) % 128, k % 2 == 0) for k in range(size)]


def packed(events: list[Event], **options: int) -> bytes:
    return packet([polarity(event) for event in events], **options)


def rows(chunk: EventChunk) -> list[Event]:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    columns = (chunk.t_us, chunk.x, chunk.y, chunk.on)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def read(path: Path, body: bytes, header: bytes = AEDAT3_HEADER) -> EventChunk:
    path.write_bytes(header + body)
    return read_all(open_recording(path, policy="skip"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.aedat"


def test_polarity_events_are_read_and_other_packets_passed_over(path: Path) -> None:
    body = SPECIAL + packed(a_packet(0)) + FRAME + packed(a_packet(100)) + SPECIAL
    chunk = read(path, body)
    assert rows(chunk) == a_packet(0) + a_packet(100)
    assert chunk.problems == {}
    recording = open_recording(path)
    assert (recording.format, recording.geometry) == ("AEDAT3", GridGeometry(128, 128))


def test_the_bytes_of_an_event_are_those_of_the_format(path: Path) -> None:
    event = bytes.fromhex("07 04 04 00 e8 03 00 00".replace(" ", ""))
    # 0x00040407: valid, on, y = 257, x = 2; 1,000 us.
    path.write_bytes(AEDAT3_HEADER + packet([event]))
    grid = GridGeometry(512, 512)
    assert rows(read_all(open_recording(path, geometry=grid))) == [(1_000, 2, 257, True)]


def test_events_marked_as_invalid_are_no_events_and_no_problem(path: Path) -> None:
    first, second = a_packet(0, 2)
    chunk = read(path, packet([polarity(first, valid=False), polarity(second)]))
    assert (rows(chunk), chunk.problems) == ([second], {})


def test_overflows_of_the_clock_are_added(path: Path) -> None:
    chunk = read(path, packed(a_packet(5)) + packed(a_packet(0, 2), overflow=3))
    assert chunk.t_us[-2:].tolist() == [3 << 31, (3 << 31) + 1]


def test_a_time_below_zero_is_damage(path: Path) -> None:
    broken = polarity((2**31 + 5, 1, 1, True))
    chunk = read(path, packet([polarity((1, 1, 1, True)), broken, polarity((2, 1, 1, True))]))
    assert (chunk.t_us.tolist(), chunk.problems) == ([1, 2], {"damaged": 1})


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 0x7F), (2, 9), (4, 9), (8, 5), (12, 0x80), (16, 0), (20, 0xFF), (27, 0x80)],
)
def test_behind_a_damaged_header_the_next_packet_is_found(path: Path, at: int, value: int) -> None:
    first, second, third = packed(a_packet(0)), bytearray(packed(a_packet(100))), a_packet(200)
    second[at if at != 12 else 15] = value
    chunk = read(path, first + bytes(second) + SPECIAL + packed(third))
    assert chunk.problems == {"damaged": 1}
    assert rows(chunk) == a_packet(0) + third
    with pytest.raises(RecordingError, match=r"the packet 188 bytes behind the header does not"):
        read_all(open_recording(path))


def test_the_policy_decides_what_follows_from_damage(path: Path) -> None:
    path.write_bytes(AEDAT3_HEADER + packed(a_packet(0)) + b"\xff" * 50 + packed(a_packet(100)))
    stopped = read_all(open_recording(path, policy="stop"))
    assert (rows(stopped), stopped.problems) == (a_packet(0), {"damaged": 1})
    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match="does not begin as one; copy or record it again"):
        seen.extend(open_recording(path))
    assert [row for chunk in seen for row in rows(chunk)] == a_packet(0)


@given(st.integers(1, 375))
def test_a_truncated_file_gives_its_whole_events(missing: int) -> None:
    data = packed(a_packet(0)) + packed(a_packet(100))
    left = len(data) - missing
    got = decoded(aedat3_decoder(), [data[:left]])  # type: ignore[arg-type]
    whole = [(at - 28) // 8 for at in (min(left, 188), left - 188)]
    events = a_packet(0)[: max(0, whole[0])] + a_packet(100)[: max(0, whole[1])]
    assert got[0] == [event[0] for event in events]
    assert got[4] == ({"truncated": 1} if left != 188 else {})


def test_sources_beyond_the_first_are_passed_over_and_told(path: Path) -> None:
    header = AEDAT3_HEADER.replace(b"DVS128\r\n", b"DVS128\r\n#Source 2: DAVIS240C\r\n")
    body = packed(a_packet(0)) + packed(a_packet(50), source=2) + packed(a_packet(100))
    chunk = read(path, body, header)
    assert (rows(chunk), chunk.problems) == (a_packet(0) + a_packet(100), {})
    note = "holds 2 sources (DVS128, DAVIS240C); the first with events is read"
    assert open_recording(path).opened.notes == (note,)


def test_what_cannot_be_read_is_refused_with_the_remedy(path: Path) -> None:
    path.write_bytes(AEDAT3_HEADER.replace(b"DVS128", b"DYNAPSE"))
    with pytest.raises(RecordingError, match=r"comes from DYNAPSE.*give its geometry"):
        open_recording(path)
    path.write_bytes(AEDAT3_HEADER.replace(b"RAW", b"SerializedTS"))
    with pytest.raises(RecordingError, match="packets of the format SerializedTS, expected RAW"):
        open_recording(path)
    path.write_bytes(b"#!AER-DAT3.0\r\n" + bytes(40))
    with pytest.raises(RecordingError, match=r"states AEDAT 3\.0"):
        open_recording(path)


def test_no_packets_are_no_chunk(path: Path) -> None:
    path.write_bytes(AEDAT3_HEADER)
    assert list(open_recording(path)) == []


@given(st.lists(EVENTS, max_size=5), st.lists(st.integers(0, 700), max_size=6))
def test_decoding_inverts_encoding_however_the_bytes_are_cut(
    packets: list[list[Event]], places: list[int]
) -> None:
    data = b"".join(packed(events) + FRAME for events in packets)
    got = decoded(aedat3_decoder(), cut(data, places))  # type: ignore[arg-type]
    everything = [event for events in packets for event in events]
    assert got[:4] == tuple(map(list, zip(*everything, strict=True))) or ([], [], [], [])
    assert got[4] == {}


@given(
    st.lists(EVENTS, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5),
    st.lists(st.integers(0, 500), max_size=6),
)
def test_damaged_bytes_decode_alike_however_they_are_cut(
    packets: list[list[Event]], flips: list[tuple[int, int]], places: list[int]
) -> None:
    data = bytearray(b"".join(packed(events) for events in packets) + SPECIAL)
    for place, value in flips:
        data[place % len(data)] = value
    whole = decoded(aedat3_decoder(), [bytes(data)])  # type: ignore[arg-type]
    assert decoded(aedat3_decoder(), cut(bytes(data), places)) == whole  # type: ignore[arg-type]


def test_a_packet_larger_than_a_piece_is_read_whole(path: Path) -> None:
    count = 300_000
    table = np.zeros((count, 2), "<u4")
    table[:, 0] = (np.arange(count) % 128 << 17) | 3
    table[:, 1] = np.arange(count)
    head = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, count, count, count)
    chunk = read(path, head + table.tobytes())
    assert (chunk.t_us == np.arange(count)).all()
    assert chunk.problems == {}
