"""The cochlea: its pieces are its whole, its kernel is its twin, its times are right."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.cochlea import CochleaSpec, coefficients_of, hear, hear_whole, new_state
from retempo.sensors.cochlea.coefficients import Coefficients
from retempo.sensors.cochlea.erb import centres_hz
from retempo.sensors.cochlea.kernel import FLUSH_EVERY, spikes_of_plainly
from retempo.sensors.cochlea.state import State
from retempo.sensors.errors import CochleaError
from retempo.sensors.events import EventChunk

SMALL = CochleaSpec(channels=12, charge_hz=4_000.0, leak_hz=50.0)


def noise(samples: int, seed: int = 0, loudness: float = 0.1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, loudness, samples)


def tone(frequency_hz: float, rate_hz: int, seconds: float = 0.3) -> NDArray[np.float64]:
    return 0.1 * np.sin(2.0 * np.pi * frequency_hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def assert_same_state(one: State, other: State) -> None:
    for name, mine, theirs in zip(State._fields, one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def channels_of(chunk: EventChunk) -> NDArray[np.uint16]:
    assert chunk.channel is not None
    return chunk.channel


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(0, 5_000), max_size=12),
    rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    exponent=st.sampled_from([0.5, 0.3, 1.0]),
    seed=st.integers(0, 5),
)
def test_a_sound_in_pieces_gives_the_events_of_the_whole(
    cuts: list[int], rate_hz: int, exponent: float, seed: int
) -> None:
    spec = msgspec.structs.replace(SMALL, exponent=exponent, charge_hz=30_000.0)
    coefficients = coefficients_of(spec, rate_hz)
    sound = noise(5_000, seed)
    state = new_state(coefficients)
    chunks: list[EventChunk] = []
    for piece in np.split(sound, sorted(cuts)):
        state, chunk = hear(coefficients, state, piece)
        assert (chunk.t_us <= chunk.t_end_us).all()
        assert not chunks or (chunk.t_us > chunks[-1].t_end_us).all()
        chunks.append(chunk)
    at_the_end, whole = hear(coefficients, new_state(coefficients), sound)
    assert len(whole) > 20
    np.testing.assert_array_equal(np.concatenate([c.t_us for c in chunks]), whole.t_us)
    np.testing.assert_array_equal(
        np.concatenate([channels_of(c) for c in chunks]), channels_of(whole)
    )
    assert_same_state(state, at_the_end)
    assert chunks[-1].t_end_us == whole.t_end_us == 5_000 * 1_000_000 // rate_hz


@settings(max_examples=30)
@given(
    sound=st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=1_500),
    deaf_ms=st.sampled_from([0.0, 1.0, 20.0]),
    leak_hz=st.sampled_from([0.0, 60.0]),
    rate_hz=st.sampled_from([8_000, 44_100]),
)
def test_the_kernel_is_its_twin_to_the_last_bit(
    sound: list[float], deaf_ms: float, leak_hz: float, rate_hz: int
) -> None:
    spec = msgspec.structs.replace(SMALL, refractory_ms=deaf_ms, leak_hz=leak_hz)
    assert_twins(coefficients_of(spec, rate_hz), np.array(sound))


def test_the_kernel_is_its_twin_on_sound_that_spikes_and_rings_out() -> None:
    sound = np.concatenate([noise(2_000), np.zeros(7 * FLUSH_EVERY), noise(500)])
    assert assert_twins(coefficients_of(SMALL, 16_000), sound) > 100


def assert_twins(coefficients: Coefficients, sound: NDArray[np.float64]) -> int:
    state, compiled = hear(coefficients, new_state(coefficients), sound)
    twin, plain = hear(coefficients, new_state(coefficients), sound, spikes_of_plainly)
    np.testing.assert_array_equal(compiled.t_us, plain.t_us)
    np.testing.assert_array_equal(channels_of(compiled), channels_of(plain))
    assert_same_state(state, twin)
    return len(plain)


def test_any_other_compression_spikes_where_the_twin_does_but_for_rounding() -> None:
    coefficients = coefficients_of(msgspec.structs.replace(SMALL, exponent=0.3), 16_000)
    _, compiled = hear(coefficients, new_state(coefficients), noise(4_000))
    _, plain = hear(coefficients, new_state(coefficients), noise(4_000), spikes_of_plainly)
    assert len(compiled) == len(plain) > 100
    np.testing.assert_allclose(compiled.t_us, plain.t_us, atol=1)


def test_events_are_sorted_by_time_and_then_by_channel() -> None:
    spec = CochleaSpec(channels=300, charge_hz=20_000.0)
    events = hear_whole(noise(8_000), 8_000, spec)
    keys = list(zip(events.t_us.tolist(), channels_of(events).tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(events.t_us.tolist())) < len(keys)


def test_a_steady_drive_fires_at_its_rate_to_a_microsecond() -> None:
    coefficients = coefficients_of(
        CochleaSpec(channels=1, charge_hz=1.0, leak_hz=0.0, refractory_ms=0.0), 8_000
    )
    state = new_state(coefficients)
    # Pole 1 and no gain: the last stage holds 1 for ever, the drive is `charge` a sample.
    held = coefficients._replace(
        pole_re=np.ones(1), pole_im=np.zeros(1), gain=np.zeros(1), charge=0.3
    )
    state.filter_re[-1] = 1.0
    _, events = hear(held, state, np.zeros(16))
    # Four samples of 125 us to a threshold, reached a third of the way through the fourth.
    assert events.t_us.tolist() == [417, 917, 1_417, 1_917]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_fires_most_in_its_own_channel_at_any_rate(rate_hz: int) -> None:
    spec = CochleaSpec(channels=64, charge_hz=4_000.0, leak_hz=200.0, refractory_ms=0.5)
    events = hear_whole(tone(1_000.0, rate_hz), rate_hz, spec)
    busiest = np.bincount(channels_of(events), minlength=64).argmax()
    centres = centres_hz(64, spec.low_hz, min(spec.high_hz, 0.45 * rate_hz))
    assert abs(int(busiest) - int(np.abs(centres - 1_000.0).argmin())) <= 1


def test_no_channel_fires_within_its_refractory_period() -> None:
    spec = msgspec.structs.replace(SMALL, charge_hz=50_000.0, refractory_ms=5.0)
    events = hear_whole(noise(16_000), 16_000, spec)
    for channel in range(spec.channels):
        times = events.t_us[channels_of(events) == channel]
        assert len(times) > 10
        assert np.diff(times).min() >= 5_000 - 63


def test_silence_gives_no_spikes_and_ends_where_it_ends() -> None:
    events = hear_whole(np.zeros(48_000), 48_000, CochleaSpec(leak_hz=0.0))
    assert (len(events), events.t_end_us) == (0, 1_000_000)


def test_loud_and_soft_speech_fire_alike_and_noise_below_the_floor_does_not() -> None:
    counts = [
        len(hear_whole(noise(16_000, loudness=loudness), 16_000, SMALL))
        for loudness in (0.5, 0.05, 0.0001)
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.02)
    assert counts[2] < 0.05 * counts[0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e7])
def test_a_sample_that_is_no_sound_is_named(value: float) -> None:
    coefficients = coefficients_of(SMALL, 8_000)
    state, _ = hear(coefficients, new_state(coefficients), noise(100))
    with pytest.raises(CochleaError, match=r"sample 103 of the sound is .*, expected a finite"):
        hear(coefficients, state, [0.0, 0.0, 0.0, value])


def test_the_state_given_is_not_written_to() -> None:
    coefficients = coefficients_of(SMALL, 8_000)
    state = new_state(coefficients)
    hear(coefficients, state, noise(500))
    assert_same_state(state, new_state(coefficients))


def test_stereo_is_not_taken_for_mono() -> None:
    with pytest.raises(CochleaError, match=r"sound of shape \(5, 2\), expected \(samples,\)"):
        hear_whole(np.zeros((5, 2)), 8_000, SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "channels is 0, expected more than 0"),
        ({"channels": 65_537}, "channels is 65537, expected 1 to 65536"),
        ({"low_hz": 9_000.0}, "low_hz is 9000, expected less than high_hz, 8000"),
        ({"level": math.nan}, "level is nan, expected a finite number"),
        ({"exponent": 1.5}, "exponent is 1.5, expected at most 1"),
        ({"leak_hz": -1.0}, "leak_hz is -1, expected 0 or more"),
    ],
)
def test_a_cochlea_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CochleaError, match=message):
        CochleaSpec(**settings)


@pytest.mark.parametrize(
    ("rate_hz", "low_hz", "message"),
    [
        (100, 80.0, "sound at 100 Hz, expected 1000 to 1000000 Hz"),
        (8_000, 5_000.0, "reaches up to 3600 Hz, below the lowest channel, low_hz 5000"),
    ],
)
def test_a_rate_that_it_cannot_hear_is_refused(rate_hz: int, low_hz: float, message: str) -> None:
    with pytest.raises(CochleaError, match=message):
        coefficients_of(CochleaSpec(low_hz=low_hz), rate_hz)
