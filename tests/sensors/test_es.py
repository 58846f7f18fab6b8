"""Event Stream: the kernel against its plain twin, DVS and ATIS, truncation, refusals."""

from pathlib import Path

import faery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.es import ATIS, DVS, TimeCode, es_decoder, find_events, find_events_numpy
from retempo.sensors.geometry import GridGeometry
from tests.sensors.byte_files import cut, decoded

HEADER = b"Event Stream\x02\x00\x00"
DVS_HEADER = HEADER + b"\x01" + bytes([34, 0, 20, 0])
ATIS_HEADER = HEADER + b"\x02" + bytes([34, 0, 20, 0])
CODES = st.sampled_from([DVS, ATIS])


@given(st.binary(max_size=300), CODES, st.integers(0, 10**12))
def test_the_kernel_finds_what_its_plain_twin_finds(data: bytes, code: TimeCode, t_us: int) -> None:
    arguments = (np.frombuffer(data, np.uint8), t_us, code.shift, code.gap, code.gap_us)
    fast, plain = find_events(*arguments), find_events_numpy(*arguments)
    assert [array.tolist() for array in fast[:2]] == [array.tolist() for array in plain[:2]]
    assert fast[2:] == plain[2:]


@given(st.binary(max_size=300), CODES, st.lists(st.integers(0, 300), max_size=6))
def test_how_the_bytes_are_cut_never_changes_the_events(
    data: bytes, code: TimeCode, places: list[int]
) -> None:
    decoder = es_decoder(code, 20)
    assert decoded(decoder, cut(data, places)) == decoded(decoder, [data])  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.integers(0, 1_000), st.integers(0, 33), st.integers(0, 19), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_what_faery_writes_reads_back_with_its_times(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, bool]]
) -> None:
    events = np.array(steps, faery.EVENTS_DTYPE)
    events["t"] = np.cumsum(events["t"]) - events["t"][0]
    path = tmp_path_factory.mktemp("es") / "a.es"
    faery.events_stream_from_array(events, (34, 20)).to_file(path)
    chunk = read_all(open_recording(path))
    for name, column in (("t", chunk.t_us), ("x", chunk.x), ("y", chunk.y), ("on", chunk.on)):
        assert column is not None
        assert column.tolist() == events[name].tolist()


def test_an_atis_gives_its_changes_and_passes_over_its_exposures(tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    # 3 gaps of 63 us; on at +5; exposure start at +2; off at +1.
    body = bytes([0xFF, (5 << 2) | 2, 7, 0, 19, 0, (2 << 2) | 1, 7, 0, 19, 0, 1 << 2, 8, 0, 0, 0])
    path.write_bytes(ATIS_HEADER + body)
    chunk = read_all(open_recording(path))
    assert chunk.t_us.tolist() == [194, 197]
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    assert (chunk.x.tolist(), chunk.y.tolist(), chunk.on.tolist()) == (
        [7, 8],
        [0, 19],
        [True, False],
    )


def test_an_event_outside_and_a_begun_event_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(DVS_HEADER + bytes([3, 1, 0, 1, 0, 3, 34, 0, 1, 0, 3, 1, 0, 20, 0, 3, 1]))
    chunk = read_all(open_recording(path, policy="skip"))
    assert (chunk.t_us.tolist(), chunk.problems) == ([1], {"outside": 2, "truncated": 1})
    with pytest.raises(RecordingError, match="the event at 2 us with x 34, y 18 lies outside"):
        read_all(open_recording(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + b"\x00", "unreadable header of 16 bytes, expected 20"),
        (HEADER + b"\x04" + bytes(4), "holds colour events, expected DVS or ATIS"),
        (HEADER + b"\x09" + bytes(4), "holds type 9 events"),
        (b"Event Stream\x01\x02\x00\x01" + bytes(4), r"is Event Stream 1\.2, expected version 2"),
        (HEADER + b"\x01" + bytes(4), "states a size that no sensor has"),
        (b"something else entirely", "begins with b'something el', expected 'Event Stream'"),
    ],
)
def test_a_header_that_does_not_hold_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


def test_a_caller_may_know_the_sensor_better(tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(DVS_HEADER + bytes([3, 1, 0, 1, 0]))
    assert open_recording(path, geometry=GridGeometry(64, 64)).geometry == GridGeometry(64, 64)
