"""Sound files as recordings: heard alike in any piece, and refused in one line where damaged."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from retempo.sensors.cochlea import CochleaSpec, hear_whole
from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files import sound as sound_files
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.summary import summarise
from tests.sound import make_word, write_word

FEW = CochleaSpec(channels=32)
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_sound_file_holds_the_events_of_its_samples(tmp_path: Path, suffix: str) -> None:
    path = write_word(tmp_path / f"a{suffix}")
    samples, rate_hz = soundfile.read(path)
    events = read_all(open_recording(path))
    expected = hear_whole(samples, rate_hz, CochleaSpec())
    assert len(events) > 500
    assert events.t_us.tolist() == expected.t_us.tolist()
    assert events.channel is not None
    assert expected.channel is not None
    assert events.channel.tolist() == expected.channel.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_is_known_by_its_content_and_summed_up_like_any_recording(
    tmp_path: Path, suffix: str
) -> None:
    path = write_word(tmp_path / f"a{suffix}", rate_hz=16_000)
    if suffix != ".mp3":
        path = path.rename(tmp_path / "named.raw")
    recording = open_recording(path, chunk_events=100)
    assert (recording.format, recording.geometry) == ("Sound", ChannelGeometry(700))
    summary = summarise(recording)
    assert summary.chunks > 5
    assert (summary.outside, summary.backward_steps) == (0, 0)
    assert set(summary.sha3_224) == {"t", "channel"}


def test_a_long_sound_is_heard_in_pieces_as_if_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_word(tmp_path / "a.wav")
    whole = summarise(open_recording(path, ear=FEW))
    monkeypatch.setattr(sound_files, "_PIECE_FRAMES", 77)
    assert summarise(open_recording(path, ear=FEW)) == whole


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    word = make_word(200.0)
    soundfile.write(tmp_path / "a.wav", np.stack([word, np.zeros_like(word)], 1), 8_000, "FLOAT")
    soundfile.write(tmp_path / "b.wav", word / 2.0, 8_000, "FLOAT")
    stereo, mono = (
        read_all(open_recording(tmp_path / name, ear=FEW)) for name in ("a.wav", "b.wav")
    )
    assert stereo.t_us.tolist() == mono.t_us.tolist()
    assert len(mono) > 10


def test_a_claimed_row_of_channels_sets_how_many_hear(tmp_path: Path) -> None:
    path = write_word(tmp_path / "a.wav")
    recording = open_recording(path, geometry=ChannelGeometry(32))
    assert recording.geometry == ChannelGeometry(32)
    assert summarise(recording).sha3_224 == summarise(open_recording(path, ear=FEW)).sha3_224
    with pytest.raises(RecordingError, match=r"is heard by a row of channels, .* 34x34x2; give a"):
        open_recording(path, geometry=GridGeometry(34, 34))


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".wav", "is truncated: it states 3244 bytes and has"),
        (".flac", "is (damaged after|truncated: it states 1600 samples and holds)"),
        (".ogg", "is truncated: its last Ogg page is missing"),
        (".opus", "is truncated: its last Ogg page is missing"),
    ],
)
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_sound_that_ends_early_is_called_truncated(
    tmp_path: Path, suffix: str, words: str, kept: float
) -> None:
    path = write_word(tmp_path / f"a{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(RecordingError, match=words) as caught:
        read_all(open_recording(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wave_from_a_pipe_is_heard_to_its_end(tmp_path: Path) -> None:
    path = write_word(tmp_path / "a.wav")
    whole = summarise(open_recording(path, ear=FEW))
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert summarise(open_recording(path, ear=FEW)) == whole


def test_a_flac_from_a_pipe_is_refused_with_its_fix(tmp_path: Path) -> None:
    path = write_word(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    # The last 36 bits of the rates and lengths in STREAMINFO count the samples.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.flac does not state its length, which the"):
        open_recording(path, ear=FEW)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.wav", b"RIFF\x04\x00\x00\x00WAVE"),
        ("a.wav", b"something else, and long enough"),
        ("a.flac", b"fLaC" + bytes(60)),
        ("a.mp3", b"ID3" + bytes(60)),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="is no readable sound") as caught:
        open_recording(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_no_sound_names_file_and_sample(tmp_path: Path) -> None:
    word = make_word(200.0)
    word[1_234] = np.nan
    soundfile.write(tmp_path / "a.wav", word, 8_000, "FLOAT")
    with pytest.raises(RecordingError, match=r"a\.wav: sample 1234 of the sound is nan"):
        read_all(open_recording(tmp_path / "a.wav", ear=FEW))


def test_a_rate_below_the_lowest_channel_is_refused_at_once(tmp_path: Path) -> None:
    path = write_word(tmp_path / "a.wav")
    spec = CochleaSpec(channels=2, low_hz=4_000.0, high_hz=5_000.0)
    with pytest.raises(RecordingError, match=r"a\.wav: sound at 8000 Hz reaches up to 3600 Hz"):
        open_recording(path, ear=spec)


def test_silence_is_a_recording_without_events(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 8_000)
    assert list(open_recording(tmp_path / "a.wav")) == []


def test_without_soundfile_the_command_to_install_it_is_told(tmp_path: Path) -> None:
    path = write_word(tmp_path / "a.wav")
    program = (
        "import sys; sys.modules['soundfile'] = None\n"
        "from retempo.cli.app import run\n"
        f"sys.exit(run(['info', {str(path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "a.wav is sound, which needs soundfile; pip install 'retempo[audio]'"
    )


@pytest.mark.recordings
def test_a_published_spoken_digit_is_heard_when_its_authors_heard_it(
    recordings_folder: Path,
) -> None:
    folder = recordings_folder / "cochlea"
    times_s, _ = np.load(folder / "spoken_digit.lauscher70.npz")["arr_0"]
    ours = read_all(open_recording(folder / "spoken_digit.flac", ear=CochleaSpec(channels=70)))
    bins = np.arange(0.0, 0.85, 0.05)
    theirs, heard = (np.histogram(t, bins)[0] for t in (times_s, ours.t_us * 1e-6))
    assert np.corrcoef(theirs, heard)[0, 1] > 0.6
    loudest = slice(5, 8)
    assert heard[loudest].sum() > 0.25 * heard.sum()
