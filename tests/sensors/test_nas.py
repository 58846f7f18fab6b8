"""The NAS cochlea's files: addresses as channels, ticks as microseconds, and how one is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.nas import nas_decoder
from retempo.sensors.geometry import ChannelGeometry
from tests.sensors.byte_files import cut, decoded, nas


def spikes(count: int, channels: int = 64, begin: int = 0) -> list[tuple[int, int]]:
    return [(7 * k % channels, (begin + 13 * k) % 2**32) for k in range(count)]


def test_addresses_are_channels_and_ticks_are_fifths_of_a_microsecond(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(nas(spikes(40)))
    recording = open_recording(path)
    chunk = read_all(recording)
    assert (recording.format, recording.geometry) == ("NAS", ChannelGeometry(64))
    assert chunk.channel is not None
    assert chunk.channel.tolist() == [7 * k % 64 for k in range(40)]
    assert chunk.t_us.tolist() == [13 * k // 5 for k in range(40)]


def test_the_clock_runs_on_through_its_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(nas(spikes(4_000, begin=2**32 - 40_000)))
    times = read_all(open_recording(path)).t_us
    assert times.tolist() == [(2**32 - 40_000 + 13 * k) // 5 for k in range(4_000)]


@pytest.mark.parametrize(("addresses", "channels"), [(40, 64), (128, 128), (256, 256)])
def test_the_channels_are_the_power_of_two_that_holds_the_addresses(
    tmp_path: Path, addresses: int, channels: int
) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(nas(spikes(2_000, addresses)))
    assert open_recording(path).geometry == ChannelGeometry(channels)
    assert open_recording(path, geometry=ChannelGeometry(300)).geometry == ChannelGeometry(300)


def test_a_damaged_spike_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    rows = spikes(200)
    rows[20] = (0xFFFF, rows[20][1])
    path.write_bytes(nas(rows)[:-1])
    kept = read_all(open_recording(path, policy="skip"))
    assert (len(kept), kept.problems) == (198, {"outside": 1, "truncated": 1})


@pytest.mark.parametrize(
    "content",
    [
        bytes(6_000),
        np.random.default_rng(0).bytes(6_000),
        nas(spikes(10)),
        nas([(3, k) for k in range(100)]),
        nas([(k % 64, 5_000 - k) for k in range(100)]),
    ],
    ids=["zeros", "noise", "too short", "one filter", "backwards"],
)
def test_what_is_no_cochlea_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"states no AEDAT version, expected a first line"):
        open_recording(path)


@given(
    st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)), max_size=40),
    st.binary(max_size=5),
    st.lists(st.integers(0, 250), max_size=6),
)
def test_how_the_bytes_are_cut_never_changes_the_spikes(
    rows: list[tuple[int, int]], rest: bytes, places: list[int]
) -> None:
    data = nas(rows) + rest
    whole = decoded(nas_decoder(), [data])  # type: ignore[arg-type]
    assert decoded(nas_decoder(), cut(data, places)) == whole  # type: ignore[arg-type]
    assert whole[1] == [address for address, _ in rows]
    assert whole[2] == ({"truncated": 1} if rest else {})


@pytest.mark.recordings
def test_the_real_recording_opens(recordings_folder: Path) -> None:
    path = recordings_folder / "cochlea" / "nas-mono-32ch.aedat"
    recording = open_recording(path)
    chunk = read_all(recording)
    assert (recording.format, recording.geometry) == ("NAS", ChannelGeometry(64))
    assert (len(chunk), chunk.problems) == (49_864, {})
    assert chunk.channel is not None
    assert set(chunk.channel.tolist()) == set(range(64))
    assert (chunk.t_us[0], chunk.t_us[-1]) == (573_010 // 5, 6_296_705 // 5)
    assert (np.diff(chunk.t_us) >= 0).all()
