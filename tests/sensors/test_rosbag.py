"""ROS bags, written by the rosbags package."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.percent_header import read_percent_header
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.tables import GRID, peak_below, rows_of

pytest.importorskip("rosbags", reason="rosbags is not installed")

from tests.sensors.bags import ARRAY, Bag, Event

KINDS = ["a.bag", "mcap", "sqlite3"]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2**31 * 10**6 - 1),
        st.integers(0, 639),
        st.integers(0, 479),
        st.integers(0, 1),
    ),
    max_size=20,
)


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=4), st.sampled_from(KINDS), st.text("ab", max_size=5))
def test_arrays_of_events_come_back_from_every_kind_of_bag(
    tmp_path_factory: pytest.TempPathFactory, messages: list[list[Event]], kind: str, frame: str
) -> None:
    with Bag(tmp_path_factory.mktemp("a"), kind) as bag:
        for events in [[], *messages]:
            bag.array("/dvs/events", events, frame=frame)
    recording = open_recording(bag.path, chunk_events=7)
    assert (recording.format, recording.geometry) == ("ROS bag", GRID)
    assert rows_of(read_all(recording)) == [event for events in messages for event in events]


@pytest.mark.parametrize(("kind", "suffix"), [("mcap", "*.mcap"), ("sqlite3", "*.db3")])
def test_a_file_of_a_folder_opens_by_itself_whatever_its_name(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    with Bag(tmp_path, kind) as bag:
        bag.array("/events", [(5, 1, 2, 1)], kind="prophesee_event_msgs/msg/EventArray")
    file = next(bag.path.glob(suffix))
    renamed = file.rename(tmp_path / "renamed.bin")
    assert rows_of(read_all(open_recording(renamed))) == [(5, 1, 2, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_topic_is_chosen_where_several_have_events(tmp_path: Path, kind: str) -> None:
    with Bag(tmp_path, kind) as bag:
        bag.array("/left/events", [(5, 1, 2, 1)])
        bag.array("/right/events", [(6, 3, 4, 0)])
        bag.write("/note", "std_msgs/msg/String", bag.make("std_msgs/msg/String", data="hm"))
    words = r"events on several topics: /left/events, /right/events; say which, as in .*#/left/ev"
    with pytest.raises(RecordingError, match=words):
        open_recording(bag.path)
    assert rows_of(read_all(open_recording(f"{bag.path}#/right/events"))) == [(6, 3, 4, 0)]
    assert rows_of(read_all(open_recording(bag.path, part="left/events"))) == [(5, 1, 2, 1)]
    with pytest.raises(RecordingError, match="has no events on /note; those with events are /left"):
        open_recording(bag.path, part="/note")
    with pytest.raises(RecordingError, match="holds events of a pixel grid, the geometry given"):
        open_recording(bag.path, part="/left/events", geometry=ChannelGeometry(3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_without_events_or_with_an_unknown_encoding_is_refused(
    tmp_path: Path, kind: str
) -> None:
    with Bag(tmp_path, kind) as bag:
        bag.write("/note", "std_msgs/msg/String", bag.make("std_msgs/msg/String", data="hm"))
    words = r"no topic of events; its topics are /note \(std_msgs/msg/String\), expected one of dvs"
    with pytest.raises(RecordingError, match=words):
        open_recording(bag.path)
    (tmp_path / "b").mkdir()
    with Bag(tmp_path / "b", kind) as bag:
        bag.packet("/events", "libcaer_cmp", b"1234")
    words = "packets encoded as 'libcaer_cmp' on /events, expected evt3, mono, libcaer"
    with pytest.raises(RecordingError, match=words):
        open_recording(bag.path)


@pytest.mark.parametrize("kind", KINDS)
def test_packets_of_64_bit_words_are_decoded(tmp_path: Path, kind: str) -> None:
    base_ns = 1_600_000_000_000_000_000
    mono = np.array([1 << 63 | 479 << 48 | 639 << 32 | 1_499, 7 << 48 | 5 << 32 | 1_500], "<u8")
    caer = np.array([[3 << 17 | 4 << 2 | 1 << 1, 2**31 - 2], [9 << 17 | 8 << 2, 5]], "<u4")
    with Bag(tmp_path, kind) as bag:
        bag.packet("/mono", "mono", mono.tobytes(), base_ns)
        bag.packet("/caer", "libcaer", caer.tobytes() + b"123", base_ns)
    base_us = base_ns // 1_000
    back = read_all(open_recording(bag.path, part="/mono"))
    assert rows_of(back) == [(base_us + 1, 639, 479, 1), (base_us + 2, 5, 7, 0)]
    back = read_all(open_recording(bag.path, part="/caer", policy="skip"))
    expected = [(base_us + 2**31 - 2, 3, 4, 1), (base_us + 2**31 + 5, 9, 8, 0)]
    assert (rows_of(back), back.problems) == (expected, {"truncated": 1})


@pytest.mark.recordings
@pytest.mark.parametrize("kind", KINDS)
def test_packets_of_evt3_are_one_stream_however_they_are_cut(
    recordings_folder: Path, tmp_path: Path, kind: str
) -> None:
    path = recordings_folder / "recordings" / "evt3.raw"
    raw = path.read_bytes()
    start = read_percent_header(raw[:4_096]).size
    words = raw[start : start + 400_001]
    with Bag(tmp_path, kind) as bag:
        for place in range(0, len(words), 7_777):
            bag.packet("/events", "evt3", words[place : place + 7_777])
    (tmp_path / "part.raw").write_bytes(raw[:start] + words)
    expected = read_all(open_recording(tmp_path / "part.raw", policy="skip"))
    grid = GridGeometry(1280, 720)
    back = read_all(open_recording(bag.path, geometry=grid, policy="skip"))
    assert len(back) > 50_000
    assert rows_of(back) == rows_of(expected)
    assert back.problems == expected.problems


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_message_is_counted_and_the_others_are_kept(tmp_path: Path, kind: str) -> None:
    with Bag(tmp_path, kind) as bag:
        bag.array("/events", [(5, 1, 2, 1)])
        bag.raw("/events", ARRAY, b"\x00\x01\x00\x00nothing")
        bag.array("/events", [(6, 1, 2, 1), (7, 700, 2, 0)])
        cut = bag.stored(ARRAY, bag.events([(8, 1, 2, 1), (9, 1, 2, 0), (10, 1, 1, 1)]))
        bag.raw("/events", ARRAY, cut[:-5])
    back = read_all(open_recording(bag.path, policy="skip"))
    assert rows_of(back) == [(5, 1, 2, 1), (6, 1, 2, 1), (8, 1, 2, 1), (9, 1, 2, 0)]
    assert back.problems == {"damaged": 1, "outside": 1, "truncated": 1}
    with pytest.raises(RecordingError, match=r"message 1 of /events: it ends \d+ bytes early"):
        read_all(open_recording(bag.path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_that_is_cut_or_changed_anywhere_gives_events_or_a_sensor_error(
    tmp_path: Path, kind: str
) -> None:
    with Bag(tmp_path, kind) as bag:
        for first in range(6):
            bag.array("/events", [(first * 100 + t, t, 2, 1) for t in range(20)])
    file = next((path for path in bag.path.glob("*.*") if path.suffix != ".yaml"), bag.path)
    data, draw = file.read_bytes(), np.random.default_rng(5)
    complaints: list[str] = []
    for trial in range(300):
        broken = bytearray(data[: draw.integers(20, len(data))] if trial % 3 == 0 else data)
        for _ in range(2):
            broken[int(draw.integers(16, len(broken)))] ^= 1 << int(draw.integers(0, 8))
        file.write_bytes(broken)
        try:
            back = read_all(open_recording(bag.path, policy="skip"))
        except SensorError as error:
            complaints.append(str(error))
            continue
        assert back.x is not None
        assert len(back) <= 20 * 65
    assert all(str(bag.path) in complaint for complaint in complaints)


def test_a_folder_that_is_no_bag_and_metadata_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a directory; give the path of one file in it"):
        open_recording(tmp_path)
    (tmp_path / "metadata.yaml").write_text("what: this\n")
    with pytest.raises(RecordingError, match="is no readable ROS bag"):
        open_recording(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_bag_takes_little_memory(tmp_path: Path, kind: str) -> None:
    words = np.arange(400_000, dtype="<u8")
    with Bag(tmp_path, kind) as bag:
        for number in range(8):
            bag.packet("/events", "mono", words.tobytes(), number * 1_000_000)
    recording = open_recording(bag.path)
    next(iter(recording.opened.decode()))
    with peak_below(100):
        events = sum(len(chunk) for chunk in recording)
    assert events == 8 * len(words)
