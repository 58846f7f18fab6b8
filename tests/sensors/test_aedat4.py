"""AEDAT 4: frames of every kind, damage anywhere, tracks, and what the header must say."""

from collections.abc import Callable
from pathlib import Path

import faery
import lz4.frame
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.aedat4_packet import zstd
from retempo.sensors.geometry import GridGeometry
from tests.sensors.byte_files import (
    Event,
    aedat4_events,
    aedat4_header,
    aedat4_packet,
    aedat4_stream,
)

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}
HEADER = aedat4_header([aedat4_stream(0)])
EVENTS = [[(100 * k + j, j % 34, (j * 7) % 34, j % 3 == 0) for j in range(50)] for k in range(3)]
ALL = [event for events in EVENTS for event in events]


@pytest.fixture(params=PACKERS)
def pack(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return PACKERS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.aedat4"


def packets(pack: Callable[[bytes], bytes]) -> list[bytes]:
    return [aedat4_packet(pack(aedat4_events(events))) for events in EVENTS]


def rows(chunk: EventChunk) -> list[Event]:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    columns = (chunk.t_us, chunk.x, chunk.y, chunk.on)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def read(path: Path, content: bytes) -> EventChunk:
    path.write_bytes(content)
    return read_all(open_recording(path, policy="skip"))


def test_every_packet_is_read_whatever_its_compression(
    path: Path, pack: Callable[[bytes], bytes]
) -> None:
    chunk = read(path, HEADER + b"".join(packets(pack)))
    assert (rows(chunk), chunk.problems) == (ALL, {})
    assert open_recording(path).geometry == GridGeometry(34, 34)


def test_times_that_go_back_stay_as_they_are(path: Path) -> None:
    events = [(900, 1, 1, True), (-7, 2, 2, False), (2**60, 3, 3, True)]
    chunk = read(path, HEADER + aedat4_packet(lz4.frame.compress(aedat4_events(events))))
    assert rows(chunk) == events


def test_a_packet_that_cannot_be_decoded_costs_no_other(
    path: Path, pack: Callable[[bytes], bytes]
) -> None:
    first, second, third = packets(pack)
    broken = second[:30] + bytes([second[30] ^ 0xFF]) + second[31:40] + b"\xff" * (len(second) - 40)
    chunk = read(path, HEADER + first + broken + third)
    assert rows(chunk)[:50] == EVENTS[0]
    assert rows(chunk)[-50:] == EVENTS[2]
    assert set(chunk.problems) <= {"damaged", "outside"}
    assert chunk.problems
    stopped = read_all(open_recording(path, policy="stop"))
    assert rows(stopped)[:50] == EVENTS[0]
    assert len(stopped) < 100
    with pytest.raises(RecordingError, match=r"a\.aedat4: .*policy skip"):
        read_all(open_recording(path))


@pytest.mark.parametrize("size", [1, 200, -8, 2**30])
def test_a_packet_whose_size_is_damaged_costs_no_other(
    path: Path, pack: Callable[[bytes], bytes], size: int
) -> None:
    first, second, third = packets(pack)
    length = int.from_bytes(second[4:8], "little") + (size if size != 1 else 1 - len(second))
    wrong = second[:4] + (length % 2**32).to_bytes(4, "little") + second[8:]
    chunk = read(path, HEADER + first + wrong + third)
    assert rows(chunk)[:50] == EVENTS[0]
    assert rows(chunk)[-50:] == EVENTS[2]
    assert set(chunk.problems) == {"damaged"}


def test_bytes_between_packets_are_one_damaged_part(path: Path) -> None:
    first, second, third = packets(lz4.frame.compress)
    chunk = read(path, HEADER + first + b"\x07" * 3_000 + second + third)
    assert (rows(chunk), chunk.problems) == (ALL, {"damaged": 1})
    with pytest.raises(RecordingError, match=r"no packet begins at byte \d+, and none in the 3000"):
        read_all(open_recording(path))


@given(st.integers(1, 2_519))
def test_a_truncated_file_gives_its_whole_events(
    tmp_path_factory: pytest.TempPathFactory, missing: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.aedat4"
    whole = packets(PACKERS["none"])
    left = 3 * 840 - missing
    assert [len(packet) for packet in whole] == [840] * 3
    chunk = read(path, HEADER + b"".join(whole)[:left])
    kept = [events[: max(0, (left - 840 * k - 40) // 16)] for k, events in enumerate(EVENTS)]
    assert rows(chunk) == [event for events in kept for event in events]
    assert chunk.problems == ({"truncated": 1} if left % 840 else {})


def test_a_file_cut_between_packets_misses_its_table(path: Path) -> None:
    body = b"".join(packets(lz4.frame.compress))
    whole = aedat4_header([aedat4_stream(0)], len(HEADER) + len(body)) + body
    assert read(path, whole + lz4.frame.compress(b"a table" * 9)).problems == {}
    cut = whole[: -len(packets(lz4.frame.compress)[-1])]
    chunk = read(path, cut)
    assert (rows(chunk), chunk.problems) == (EVENTS[0] + EVENTS[1], {"truncated": 1})


def test_the_first_of_several_tracks_is_read_and_the_others_are_told(path: Path) -> None:
    streams = [aedat4_stream(0, "FRME"), aedat4_stream(2), aedat4_stream(5, size=(640, 480))]
    frame = aedat4_packet(aedat4_events([], b"FRME"), 0)
    body = [
        aedat4_packet(aedat4_events(EVENTS[k]), stream) for k, stream in ((0, 2), (1, 5), (2, 2))
    ]
    chunk = read(path, aedat4_header(streams) + frame + body[0] + frame + body[1] + body[2])
    assert (rows(chunk), chunk.problems) == (EVENTS[0] + EVENTS[2], {})
    note = "holds 2 event tracks (streams 2, 5); the first is read"
    assert open_recording(path).opened.notes == (note,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!AER-DAT4.0\r\n123", "unreadable header: its length is missing"),
        (HEADER[:100], r"unreadable header: it ends \d+ bytes early"),
        (HEADER.replace(b"<dv", b"<!v"), "unreadable header: its text has a declaration"),
        (HEADER.replace(b"</dv>", b"</vd>"), "unreadable header: mismatched tag"),
        (aedat4_header([]), r"has no event track \(its streams hold nothing\)"),
        (aedat4_header([aedat4_stream(0, "FRME")]), "its streams hold FRME"),
        (aedat4_header([aedat4_stream(0, size=None)]), "no sensor size for its events"),
        (aedat4_header([aedat4_stream(0, size=(0, 3))]), "states a size that no sensor has"),
    ],
)
def test_a_header_that_does_not_hold_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=words) as caught:
        open_recording(path)
    assert "\n" not in str(caught.value)


def test_a_packet_of_millions_of_events_is_read_in_pieces(path: Path) -> None:
    count = 1_000_000
    events = np.zeros(count, faery.EVENTS_DTYPE)
    events["t"] = np.arange(count)
    events["x"] = np.arange(count) % 34
    content = aedat4_events([])
    table = np.zeros(count, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("on", "<u4")])
    table["t"], table["x"] = events["t"], events["x"]
    body = content[4:32][:-4] + count.to_bytes(4, "little") + table.tobytes()
    framed = lz4.frame.compress(len(body).to_bytes(4, "little") + body)
    path.write_bytes(HEADER + aedat4_packet(framed))
    pieces = [len(piece) for piece in open_recording(path).opened.decode()]
    assert sum(pieces) == count
    assert max(pieces) <= 70_000


@given(
    st.lists(st.tuples(st.integers(0, 2_500), st.integers(0, 255)), min_size=1, max_size=4),
    st.sampled_from(sorted(PACKERS)),
)
def test_flipped_bytes_never_do_more_than_the_policy_allows(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], packer: str
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.aedat4"
    content = bytearray(HEADER + b"".join(packets(PACKERS[packer])))
    for place, value in flips:
        content[len(HEADER) + place % (len(content) - len(HEADER))] = value
    chunk = read(path, bytes(content))
    assert chunk.x is not None
    assert (chunk.x < 34).all()
    stopped = rows(read_all(open_recording(path, policy="stop")))
    assert stopped == rows(chunk)[: len(stopped)]


@pytest.mark.recordings
@pytest.mark.parametrize("at", [10_000, 1_500_000, 4_000_000])
def test_damage_in_a_real_recording_costs_what_it_hits(
    recordings_folder: Path, path: Path, at: int
) -> None:
    original = recordings_folder / "recordings" / "davis346.aedat4"
    whole = read_all(open_recording(original))
    content = bytearray(original.read_bytes())
    content[at : at + 64] = bytes(64)
    chunk = read(path, bytes(content))
    missing = len(whole) - len(chunk)
    assert missing < 3_000
    assert (chunk.t_us[-1_000:] == whole.t_us[-1_000:]).all()
