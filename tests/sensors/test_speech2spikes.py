"""Speech2Spikes: its pieces are its whole, and its whole is that of plain NumPy."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.errors import CochleaError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.speech2spikes import EAR, Speech2SpikesSpec
from retempo.sensors.speech2spikes.delta import modulated, modulated_plainly
from retempo.sensors.speech2spikes.mel import bands_of
from tests.sensors import speech2spikes_reference as reference
from tests.sensors.test_cochlea import channels_of, noise, tone

SPEC = Speech2SpikesSpec()


def heard(spec: Speech2SpikesSpec, rate_hz: int, sound: Any, *cuts: int) -> list[tuple[int, int]]:
    ear = EAR.hearing(spec, rate_hz, None)
    state, found, before_us = ear.start, [], -1
    for piece in np.split(sound, sorted(cuts)):
        state, chunk = ear.feed(state, piece)
        assert (chunk.t_us > before_us).all()
        assert (chunk.t_us <= chunk.t_end_us).all()
        before_us = chunk.t_end_us
        found += list(zip(chunk.t_us.tolist(), channels_of(chunk).tolist(), strict=True))
    assert len(ear.finish(state)) == 0
    assert ear.finish(state).t_end_us == len(sound) * 1_000_000 // rate_hz
    return found


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(0, 5_000), max_size=12),
    rate_hz=st.sampled_from([8_000, 16_000, 44_100]),
    samples=st.integers(0, 5_000),
    threshold=st.sampled_from([0.1, 1.0]),
    seed=st.integers(0, 5),
)
def test_a_sound_in_pieces_gives_the_events_of_the_whole_and_of_plain_numpy(
    cuts: list[int], rate_hz: int, samples: int, threshold: float, seed: int
) -> None:
    spec = msgspec.structs.replace(SPEC, threshold=threshold)
    swell = np.sin(np.linspace(0.0, 12.0, samples)) ** 2
    sound = noise(samples, seed) * swell
    whole = heard(spec, rate_hz, sound)
    assert heard(spec, rate_hz, sound, *(cut for cut in cuts if cut < samples)) == whole
    if samples >= 0.032 * rate_hz + 1:
        assert whole == reference.events(sound, rate_hz, spec)
    else:
        assert whole == []


@settings(max_examples=60)
@given(st.integers(0, 99), st.floats(0.01, 3.0), st.integers(0, 60))
def test_the_kernel_is_its_twin_however_the_frames_are_cut(
    seed: int, threshold: float, cut: int
) -> None:
    bands = np.cumsum(np.random.default_rng(seed).normal(size=(60, 4)), axis=0)
    events, reached = modulated_plainly(bands, threshold, bands[0].copy())
    first, between = modulated(bands[:cut], threshold, bands[0].copy())
    second, after = modulated(bands[cut:], threshold, between)
    np.testing.assert_array_equal(np.concatenate([first, second]), events)
    np.testing.assert_array_equal(after, reached)
    # What the events add up to is what the bands were followed to.
    np.testing.assert_allclose(bands[0] + threshold * events.sum(axis=0), reached, atol=1e-9)


def test_the_bands_are_triangles_that_overlap_by_half() -> None:
    triangles = bands_of(SPEC, 16_000).triangles
    np.testing.assert_allclose(triangles, reference.filterbank(16_000, 512, SPEC), atol=1e-12)
    between = triangles[8:100].sum(axis=1)
    assert triangles.shape == (257, 20)
    np.testing.assert_allclose(between, 1.0, atol=1e-9)


def test_a_tone_that_begins_fires_upwards_in_its_band_and_downwards_as_it_ends() -> None:
    quiet = noise(8_000, loudness=1e-3)
    sound = np.concatenate([quiet, quiet[:4_800] + tone(1_000.0, 16_000), quiet])
    peaks_hz = 700.0 * (
        10.0 ** (np.linspace(reference.to_mel(20.0), reference.to_mel(4_000.0), 22) / 2_595.0) - 1.0
    )
    band = int(np.abs(peaks_hz[1:-1] - 1_000.0).argmin())
    found = heard(SPEC, 16_000, sound)
    up = [t_us for t_us, channel in found if channel == band]
    down = [t_us for t_us, channel in found if channel == 20 + band]
    assert len([t for t in up if 500_000 <= t <= 540_000]) >= 5
    assert len([t for t in down if 800_000 <= t <= 860_000]) >= 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mels": 0}, "mels is 0, expected more than 0"),
        ({"mels": 5_000}, "mels is 5000, expected 1 to 4096"),
        ({"low_hz": 5_000.0}, "low_hz is 5000, expected less than high_hz, 4000"),
        ({"hop_ms": 40.0}, "hop_ms is 40 and window_ms 32, expected a hop of at most a window"),
        ({"threshold": float("inf")}, "threshold is inf, expected a finite number"),
    ],
)
def test_an_ear_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CochleaError, match=message):
        Speech2SpikesSpec(**change)


@pytest.mark.parametrize(
    ("change", "rate_hz", "message"),
    [
        ({}, 100, "sound at 100 Hz, expected 1000 to 384000 Hz"),
        ({"low_hz": 2_000.0}, 2_000, "reaches up to 1000 Hz, below the lowest band, low_hz 2000"),
        ({"window_ms": 1.0, "hop_ms": 0.1}, 1_000, "a window of 1 and a hop of 0 samples"),
    ],
)
def test_a_rate_that_it_cannot_hear_is_refused(
    change: dict[str, Any], rate_hz: int, message: str
) -> None:
    with pytest.raises(CochleaError, match=message):
        EAR.hearing(Speech2SpikesSpec(**change), rate_hz, None)


@pytest.mark.recordings
@pytest.mark.parametrize("take", ["7_jackson_2", "0_theo_3", "3_nicolas_20", "9_lucas_11"])
def test_spoken_digits_are_heard_as_by_plain_numpy(recordings_folder: Path, take: str) -> None:
    path = recordings_folder / "fsdd" / f"{take}.wav"
    sound, rate_hz = soundfile.read(path)
    events = read_all(open_recording(path, ear=SPEC))
    found = list(zip(events.t_us.tolist(), channels_of(events).tolist(), strict=True))
    assert found == reference.events(sound, rate_hz, SPEC)
    assert len(found) > 50
