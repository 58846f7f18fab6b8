"""Real recordings: each format decodes to the events that its publisher counts."""

import hashlib
import json
from pathlib import Path

import faery
import numpy as np
import pytest

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.summary import summarise

pytestmark = pytest.mark.recordings

FILES = {
    "evt3.raw": ("EVT3", 1_218_618, GridGeometry(1280, 720)),
    "evt2.raw": ("EVT2", 521_252, GridGeometry(640, 480)),
    "evt2_sample.raw": ("EVT2", 539_481, GridGeometry(640, 480)),
    "davis346.aedat4": ("AEDAT4", 78_830, GridGeometry(346, 260)),
    "dvs.es": ("ES", 473_225, GridGeometry(320, 240)),
    "ncars.dat": ("DAT", 2_009, GridGeometry(304, 240)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_recording_has_the_format_events_and_size_that_its_publisher_states(
    recordings_folder: Path, name: str
) -> None:
    known_format, events, geometry = FILES[name]
    recording = open_recording(recordings_folder / "recordings" / name)
    summary = summarise(recording)
    assert (recording.format, recording.name, recording.geometry) == (known_format, name, geometry)
    assert (summary.events, summary.outside, summary.backward_steps) == (events, 0, 0)


@pytest.mark.parametrize("name", ["evt3.raw", "evt2.raw", "davis346.aedat4", "dvs.es"])
@pytest.mark.parametrize("chunk_events", [4_099, 1 << 30])
def test_every_column_hashes_to_the_published_digest_whatever_the_chunk_size(
    recordings_folder: Path, name: str, chunk_events: int
) -> None:
    folder = recordings_folder / "recordings"
    published = json.loads((folder / "digests.json").read_text())[name]["sha3_224"]
    recording = open_recording(folder / name, chunk_events=chunk_events)
    assert summarise(recording).sha3_224 == published


@pytest.mark.parametrize("name", FILES)
def test_chunks_are_full_numbered_and_never_ahead_of_a_later_event(
    recordings_folder: Path, name: str
) -> None:
    recording = open_recording(recordings_folder / "recordings" / name, chunk_events=777)
    chunks = list(recording)
    assert [len(chunk) for chunk in chunks[:-1]] == [777] * (len(chunks) - 1)
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.stream for chunk in chunks} == {name}
    ends = np.array([chunk.t_end_us for chunk in chunks])
    assert (ends == [chunk.t_us[-1] for chunk in chunks]).all()
    assert (ends[:-1] <= [chunk.t_us.min() for chunk in chunks[1:]]).all()


def test_a_recording_can_be_read_again_from_its_start(recordings_folder: Path) -> None:
    recording = open_recording(recordings_folder / "recordings" / "dvs.es")
    first, again = summarise(recording), summarise(recording)
    assert first == again
    assert first.events == 473_225


def test_ncars_holds_the_event_words_of_its_file(recordings_folder: Path) -> None:
    path = recordings_folder / "recordings" / "ncars.dat"
    chunk = read_all(open_recording(path))
    # The first events of the hexadecimal dump, worked out by hand.
    assert chunk.t_us[:3].tolist() == [0, 35, 152]
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    assert list(zip(chunk.x[:3].tolist(), chunk.y[:3].tolist(), strict=True)) == [
        (25, 8),
        (67, 35),
        (56, 27),
    ]
    assert chunk.on[:3].tolist() == [False, False, True]
    assert chunk.t_us[-1] == 99_952


@pytest.mark.parametrize(
    ("split", "files", "events"),
    [("train", 1_000, 4_133_231), ("test", 100, 385_596)],
)
def test_every_nmnist_file_opens_and_its_events_lie_in_the_grid_in_time_order(
    recordings_folder: Path, split: str, files: int, events: int
) -> None:
    summaries = [
        summarise(open_recording(path))
        for path in sorted((recordings_folder / "nmnist" / split).glob("*.bin"))
    ]
    assert len(summaries) == files
    assert sum(each.events for each in summaries) == events
    assert sum(each.outside + each.backward_steps for each in summaries) == 0
    assert {each.geometry for each in summaries} == {GridGeometry(34, 34)}


def test_every_poker_card_opens_as_the_table_it_is(recordings_folder: Path) -> None:
    paths = sorted((recordings_folder / "pokerdvs" / "npy").rglob("*.npy"))
    assert len(paths) == 68
    for path in paths:
        table = np.load(path)
        summary = summarise(open_recording(path))
        assert summary.events == len(table)
        assert summary.outside == 0
        assert summary.geometry == GridGeometry(35, 35)
        digest = hashlib.sha3_224(np.ascontiguousarray(table[:, 0]).tobytes()).hexdigest()
        assert summary.sha3_224["t"] == digest
        assert summary.on_share == pytest.approx(table[:, 3].mean())


@pytest.mark.parametrize(
    ("source", "suffix", "known_format"),
    [
        ("recordings/evt2.raw", ".dat", "EVT2"),
        ("recordings/evt3.raw", ".csv", "EVT3"),
        ("recordings/davis346.aedat4", ".bin", "AEDAT4"),
        ("recordings/dvs.es", ".npy", "ES"),
        ("recordings/ncars.dat", ".raw", "DAT"),
        ("nmnist/test/60001_7.bin", ".es", "N-MNIST"),
        ("pokerdvs/npy/test/cl/0.npy", "", "NumPy"),
        ("pokerdvs/aedat2/xclub01.aedat", ".bin", "AEDAT2"),
        ("cochlea/nas-mono-32ch.aedat", ".bin", "NAS"),
    ],
)
def test_the_content_beats_the_suffix(
    recordings_folder: Path, tmp_path: Path, source: str, suffix: str, known_format: str
) -> None:
    original = recordings_folder / source
    renamed = tmp_path / f"renamed{suffix}"
    renamed.symlink_to(original)
    recording = open_recording(renamed)
    assert recording.format == known_format
    assert summarise(recording).sha3_224 == summarise(open_recording(original)).sha3_224


@pytest.mark.parametrize(("name", "cut"), [("evt3.raw", 1_000_000), ("evt2.raw", 1_000_001)])
def test_an_evt_file_that_ends_inside_a_word_gives_what_it_holds_and_then_says_so(
    recordings_folder: Path, tmp_path: Path, name: str, cut: int
) -> None:
    path = tmp_path / name
    path.write_bytes((recordings_folder / "recordings" / name).read_bytes()[:cut])
    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match=rf"{name}: it ends \d bytes into a word of \d"):
        seen.extend(open_recording(path))
    skipped = read_all(open_recording(path, policy="skip"))
    whole = read_all(open_recording(recordings_folder / "recordings" / name))
    assert skipped.problems == {"truncated": 1}
    assert sum(map(len, seen)) == len(skipped) > 100_000
    assert (skipped.t_us == whole.t_us[: len(skipped)]).all()


def test_a_dat_file_that_ends_inside_an_event_gives_what_it_holds_and_then_says_so(
    recordings_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ncars.dat"
    path.write_bytes((recordings_folder / "recordings" / "ncars.dat").read_bytes()[:1_000])
    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match=r"ncars.dat: it ends \d bytes into an event of 8"):
        seen.extend(open_recording(path))
    skipped = read_all(open_recording(path, policy="skip"))
    assert skipped.problems == {"truncated": 1}
    assert sum(map(len, seen)) == len(skipped) > 100


def test_an_aedat4_file_that_ends_inside_a_packet_gives_what_it_holds_and_then_says_so(
    recordings_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.aedat4"
    original = recordings_folder / "recordings" / "davis346.aedat4"
    path.write_bytes(original.read_bytes()[:3_000_000])
    whole = read_all(open_recording(original))
    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match=r"cut\.aedat4: it ends \d+ bytes before") as caught:
        seen.extend(open_recording(path, chunk_events=64))
    assert "\n" not in str(caught.value)
    times = np.concatenate([chunk.t_us for chunk in seen])
    assert 30_000 < len(times) < len(whole)
    assert (times == whole.t_us[: len(times)]).all()


def test_a_format_that_is_not_known_is_refused_in_one_line_that_names_those_that_are(
    recordings_folder: Path,
) -> None:
    with pytest.raises(RecordingError, match="is in no known format") as caught:
        open_recording(recordings_folder / "recordings" / "digests.json")
    text = str(caught.value)
    assert "\n" not in text
    for known in ("N-MNIST", "NumPy", "EVT2", "DAT", "AEDAT2", "AEDAT3", "AEDAT4", "ES", "NAS"):
        assert known in text


def test_our_dat_decoder_agrees_with_faery(recordings_folder: Path, tmp_path: Path) -> None:
    packets = list(faery.events_stream_from_file(recordings_folder / "recordings" / "dvs.es"))
    events = np.concatenate(packets)[:20_000]
    events["y"] %= 200
    for version in ("dat1", "dat2"):
        path = tmp_path / f"{version}.dat"
        faery.events_stream_from_array(events, (320, 240)).to_file(path, version=version)
        back = np.concatenate(list(faery.events_stream_from_file(path)))
        ours = read_all(open_recording(path))
        assert open_recording(path).geometry == GridGeometry(320, 240)
        for name, column in (("t", ours.t_us), ("x", ours.x), ("y", ours.y), ("on", ours.on)):
            assert column is not None
            assert column.tolist() == back[name].tolist()
