"""AEDAT 2.0: addresses of DVS128 and DAVIS, samples and external events, the clock, the header."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.aedat2 import DAVIS, DVS128, aedat2_decoder
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.byte_files import Event, aedat2, cut, davis, decoded, dvs128

DAVIS346 = "eu.seebetter.ini.chips.davis.Davis346blue"
EXTERNAL_DVS128 = 0x8000
EXTERNAL_DAVIS = 0x400
APS_SAMPLE = 0x8000_0000 | (5 << 22) | (7 << 12) | 300
IMU_SAMPLE = 0x8000_0C00 | (9 << 12)


def events_of(path: Path, **options: object) -> list[Event]:
    chunk = read_all(open_recording(path, **options))  # type: ignore[arg-type]
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    columns = (chunk.t_us, chunk.x, chunk.y, chunk.on)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_dvs128_address_is_x_y_and_an_inverted_polarity(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat2([(dvs128(3, 100, True), 50), (dvs128(127, 0, False), 60)]))
    recording = open_recording(path)
    assert (recording.format, recording.geometry) == ("AEDAT2", GridGeometry(128, 128))
    assert events_of(path) == [(0, 3, 100, True), (10, 127, 0, False)]
    # The bytes themselves: y << 8 | x << 1 | off.
    assert path.read_bytes().endswith(bytes([0, 0, 100, 6, 0, 0, 0, 50, 0, 0, 0, 255, 0, 0, 0, 60]))


@pytest.mark.parametrize(
    ("chip", "grid"),
    [
        (DAVIS346, GridGeometry(346, 260)),
        ("eu.seebetter.ini.chips.davis.DAVIS240C", GridGeometry(240, 180)),
        ("eu.seebetter.ini.chips.sbret10.SBret10", GridGeometry(240, 180)),
        ("eu.seebetter.ini.chips.davis.Davis640", GridGeometry(640, 480)),
    ],
)
def test_a_davis_gives_its_pixels_events_and_passes_over_all_else(
    tmp_path: Path, chip: str, grid: GridGeometry
) -> None:
    path = tmp_path / "a.aedat"
    pixels = [(10, 5, 7, True), (20, grid.width - 1, grid.height - 1, False), (30, 0, 90, True)]
    records = [(davis(x, y, on), t) for t, x, y, on in pixels]
    records[1:1] = [(APS_SAMPLE, 12), (IMU_SAMPLE, 13), (davis(0, 3, on=True) | EXTERNAL_DAVIS, 14)]
    path.write_bytes(aedat2(records, chip))
    recording = open_recording(path)
    assert recording.geometry == grid
    assert events_of(path) == [(t - 10, x, y, on) for t, x, y, on in pixels]
    assert read_all(recording).problems == {}


def test_external_events_of_a_dvs128_are_no_pixels_and_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat2([(dvs128(1, 2, True), 5), (EXTERNAL_DVS128, 6), (0x8000_0000, 7)]))
    assert events_of(path) == [(0, 1, 2, True)]


def test_an_address_that_a_dvs128_cannot_send_is_outside(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    chip = "ch.unizh.ini.jaer.chip.retina.DVS128"
    path.write_bytes(aedat2([(dvs128(1, 2, True), 5), (0x0100_0000, 6)], chip))
    kept = read_all(open_recording(path, policy="skip"))
    assert (len(kept), kept.problems, kept.lost) == (1, {"outside": 1}, 1)


def test_the_clock_runs_on_through_its_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    times = [2**32 - 10, 2**32 - 1, 3, 2**32 - 2, 40]
    path.write_bytes(aedat2([(dvs128(1, 1, True), time) for time in times]))
    assert [event[0] for event in events_of(path)] == [0, 9, 13, 8, 50]
    note = open_recording(path).opened.notes[0]
    assert note == f"times count from the first event, at {2**32 - 10} us of the file's clock"


def test_a_header_longer_than_the_head_and_one_that_ends_in_a_hash_are_read_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.aedat"
    prefs = b"".join(b"#  <entry key=%06d/>\r\n" % k for k in range(20_000))
    # This event's first byte is a hash sign.
    hashed = davis(5, 0x23 << 2, on=True)
    assert hashed >> 24 == ord("#")
    plain = aedat2([(hashed, 7), (davis(6, 9, on=False), 9)], DAVIS346)
    split = plain.index(b"# AEChip")
    path.write_bytes(plain[:split] + prefs + plain[split:])
    assert open_recording(path).geometry == GridGeometry(346, 260)
    assert events_of(path) == [(0, 5, 0x23 << 2, True), (2, 6, 9, False)]
    unended = plain.replace(b"#End Of ASCII Header\r\n", b"")
    path.write_bytes(unended)
    assert events_of(path) == [(0, 5, 0x23 << 2, True), (2, 6, 9, False)]


def test_what_cannot_be_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat2([(davis(5, 100, on=True), 7)]))
    with pytest.raises(RecordingError, match=r"a chip that it does not name.*give its geometry"):
        open_recording(path)
    assert events_of(path, geometry=GridGeometry(346, 260)) == [(0, 5, 100, True)]
    path.write_bytes(aedat2([(1, 7)], "ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c"))
    with pytest.raises(RecordingError, match=r"comes from .*CochleaAMS1c, whose size is not known"):
        open_recording(path)
    with pytest.raises(RecordingError, match=r"pixel grid.*70 channels"):
        open_recording(path, geometry=ChannelGeometry(70))
    path.write_bytes(b"#!AER-DAT1.0\r\n" + bytes(60))
    with pytest.raises(RecordingError, match=r"states AEDAT 1\.0, expected a first line"):
        open_recording(path)


def test_a_file_without_events_yields_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat2([]))
    assert list(open_recording(path)) == []
    assert open_recording(path).opened.notes == ()


def test_a_truncated_event_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat2([(dvs128(1, 2, True), 5)] * 3)[:-3])
    kept = read_all(open_recording(path, policy="skip"))
    assert (len(kept), kept.problems) == (2, {"truncated": 1})
    with pytest.raises(RecordingError, match=r"a\.aedat: it ends 5 bytes into an event of 8"):
        read_all(open_recording(path))


@given(
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 127), st.booleans())),
    st.lists(st.integers(0, 400), max_size=6),
    st.binary(max_size=7),
)
def test_how_the_bytes_are_cut_never_changes_the_events(
    pixels: list[tuple[int, int, bool]], places: list[int], rest: bytes
) -> None:
    records = [(dvs128(*pixel), 17 * k) for k, pixel in enumerate(pixels)]
    data = aedat2(records).split(b"edit\r\n", 1)[1] + rest
    whole = decoded(aedat2_decoder(DVS128), [data])  # type: ignore[arg-type]
    assert decoded(aedat2_decoder(DVS128), cut(data, places)) == whole  # type: ignore[arg-type]
    assert whole[1:4] == tuple([list(column) for column in zip(*pixels, strict=True)] or [[]] * 3)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_decode_alike_however_they_are_cut(data: bytes, places: list[int]) -> None:
    for layout in (DVS128, DAVIS):
        decoder = aedat2_decoder(layout)
        whole = decoded(decoder, [data])  # type: ignore[arg-type]
        assert decoded(decoder, cut(data, places)) == whole  # type: ignore[arg-type]


@pytest.mark.recordings
def test_a_poker_card_is_the_same_from_aedat_and_from_numpy(recordings_folder: Path) -> None:
    tables = [np.load(path) for path in sorted((recordings_folder / "pokerdvs").rglob("*.npy"))]
    paths = sorted((recordings_folder / "pokerdvs" / "aedat2").glob("*.aedat"))
    assert len(paths) == 20
    same = {}
    for path in paths:
        recording = open_recording(path)
        assert recording.format == "AEDAT2"
        rows = np.array(events_of(path), np.uint64)
        equal = [table for table in tables if np.array_equal(table[:, :3], rows[:, :3])]
        if equal:
            # Not asked for, but true: the polarity is that of the tables too.
            same[path.name] = all(np.array_equal(table, rows) for table in equal)
    # The three others are of cards that the tables leave out.
    assert len(same) == 17
    assert {path.name for path in paths} - set(same) == {
        "xclub02i.aedat",
        "xclub05i.aedat",
        "xdiamond02i.aedat",
    }
    assert all(same.values())


@pytest.mark.recordings
@pytest.mark.parametrize(("name", "events"), [("mouse", 293_096), ("mug", 351_217)])
def test_the_biolab_recordings_open(recordings_folder: Path, name: str, events: int) -> None:
    path = recordings_folder / "recordings" / f"dvs128-{name}.aedat"
    recording = open_recording(path)
    chunk = read_all(recording)
    assert recording.geometry == GridGeometry(128, 128)
    assert (len(chunk), chunk.problems) == (events, {})
    assert chunk.t_us[0] == 0
    assert (np.diff(chunk.t_us) >= 0).all()
    assert 17e6 < chunk.t_us[-1] < 21e6
