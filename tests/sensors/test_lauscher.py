"""The Heidelberg ear: pieces are the whole, kernels their twins, spikes the published ones."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from retempo.sensors.ears.ear import measured
from retempo.sensors.errors import CochleaError
from retempo.sensors.events import EventChunk
from retempo.sensors.lauscher import EAR, LauscherSpec, hearing
from retempo.sensors.lauscher.bessel import hankel1
from retempo.sensors.lauscher.bushy_cell import integrate, integrate_plainly
from retempo.sensors.lauscher.coefficients import filters_of, response_of
from retempo.sensors.lauscher.convolution import velocity_of, velocity_plainly
from retempo.sensors.lauscher.hair_cell import hair_at_rest, transduce, transduce_plainly
from retempo.sensors.lauscher.hearing import faded
from retempo.sensors.lauscher.membrane import answer, entry_of
from retempo.sensors.lauscher.nerve import FIBRES, fire, fire_plainly
from tests.sensors.lauscher_reference import (
    PublishedDraws,
    frequencies,
    levelled,
    published_velocity,
    velocity_answer,
)
from tests.sensors.test_cochlea import channels_of, noise

FEW = LauscherSpec(channels=6, level="running", ahead_ms=60.0)
STEP_S = 1.0 / 24_000.0


def heard(spec: LauscherSpec, rate_hz: int, sound: NDArray[np.float64], *cuts: int) -> EventChunk:
    """Hear a sound in pieces as one chunk; checks what every watermark claims."""
    ear = EAR.hearing(spec, rate_hz, measured([sound]))
    state, chunks = ear.start, []
    for piece in np.split(sound, sorted(cuts)):
        state, chunk = ear.feed(state, piece)
        chunks.append(chunk)
    chunks.append(ear.finish(state))
    for before, after in pairwise(chunks):
        assert before.t_end_us <= after.t_end_us
        assert (before.t_us <= before.t_end_us).all()
        assert (after.t_us >= before.t_end_us).all()
    return EventChunk(
        np.concatenate([chunk.t_us for chunk in chunks]),
        chunks[-1].t_end_us,
        channel=np.concatenate([channels_of(chunk) for chunk in chunks]),
    )


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 9_000), max_size=10),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050]),
    level=st.sampled_from(["running", "recording"]),
    samples=st.integers(1, 9_000),
)
def test_a_sound_in_pieces_gives_the_events_of_the_whole(
    cuts: list[int], rate_hz: int, level: Any, samples: int
) -> None:
    spec = LauscherSpec(channels=6, level=level, ahead_ms=60.0, seed=samples)
    sound = noise(samples, loudness=0.5)
    whole = heard(spec, rate_hz, sound)
    pieces = heard(spec, rate_hz, sound, *(cut for cut in cuts if cut < samples))
    np.testing.assert_array_equal(pieces.t_us, whole.t_us)
    np.testing.assert_array_equal(channels_of(pieces), channels_of(whole))
    assert pieces.t_end_us == whole.t_end_us == samples * 1_000_000 // rate_hz
    assert samples < 4_000 or len(whole) > 5


@settings(max_examples=200)
@given(st.integers(0, 1), st.floats(0.01, 60.0), st.floats(0.0, 8.0))
def test_the_hankel_functions_are_those_of_scipy(order: int, re: float, im: float) -> None:
    expected = special.hankel1(order, complex(re, im))
    assert hankel1(order, complex(re, im)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("place", [0.0, 0.7, 1.5, 2.3, 3.5])
def test_the_membrane_answers_as_its_equation(place: float) -> None:
    size = 8_192
    found = answer(place, 48_000, entry_of(48_000, size))
    expected = velocity_answer(frequencies(48_000, size), place)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-5 * np.abs(expected).max())


def test_each_place_has_its_note_and_most_of_its_answer_comes_before_the_sound() -> None:
    entry = entry_of(48_000, 32_768)
    notes = [int(np.abs(answer(place, 48_000, entry)).argmax()) for place in (0.5, 1.5, 2.5)]
    assert notes == sorted(notes, reverse=True)
    response = response_of(2.3, 48_000, entry, 12_000, 3_000)
    assert np.sum(response[:12_000] ** 2) > 0.99 * np.sum(response**2)


def test_the_block_kernel_is_its_twin() -> None:
    filters = filters_of(5, 60.0, 16_000)
    rng = np.random.default_rng(0)
    shape = (filters.most_parts, filters.block + 1)
    spectra = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    # What is no spectrum of a sound is dropped alike.
    spectra[:, [0, -1]] = spectra[:, [0, -1]].real
    found, expected = velocity_of(filters, spectra), velocity_plainly(filters, spectra)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_the_blocks_are_every_second_sample_of_the_filtered_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    velocities = spied(monkeypatch)
    sound = noise(9_000)
    heard(LauscherSpec(channels=5, ahead_ms=60.0), 16_000, sound, 1_234)
    found = np.concatenate(velocities, axis=1)
    filters = filters_of(5, 60.0, 16_000)
    before = filters.ahead * filters.block
    behind = (filters.most_parts - filters.ahead) * filters.block
    entry = entry_of(16_000, 2 ** int(np.ceil(np.log2(before + behind))))
    for row, place in zip(found, np.linspace(0.0, 3.5, 5), strict=True):
        response = response_of(float(place), 16_000, entry, before, behind)
        whole = np.convolve(levelled(sound), response)[before : before + len(sound)][::2]
        np.testing.assert_allclose(row[: len(whole)], whole, atol=1e-3 * np.abs(whole).max())


def spied(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float64]]:
    velocities: list[NDArray[np.float64]] = []
    rates_of = hearing.rates_of

    def spy(ear: Any, state: Any, velocity: Any) -> Any:
        velocities.append(velocity)
        return rates_of(ear, state, velocity)

    monkeypatch.setattr(hearing, "rates_of", spy)
    return velocities


@settings(max_examples=30)
@given(st.integers(0, 99), st.sampled_from([0.0, 1.0, 50.0, 1e4]), st.integers(0, 300))
def test_the_hair_cells_are_their_twin(seed: int, loudness: float, cut: int) -> None:
    velocity = np.random.default_rng(seed).normal(0.0, loudness, (4, 300))
    pools = hair_at_rest(4)
    rates = []
    for part in (velocity[:, :cut].copy(), velocity[:, cut:].copy()):
        rates.append(np.empty_like(part))
        transduce(part, STEP_S, *pools, rates[-1])
    after, expected = transduce_plainly(velocity, STEP_S, hair_at_rest(4))
    np.testing.assert_allclose(np.concatenate(rates, axis=1), expected, rtol=1e-12)
    for mine, theirs in zip(pools, after, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_silence_leaves_a_hair_cell_at_its_spontaneous_rate() -> None:
    _, rates = transduce_plainly(np.zeros((1, 2_000)), STEP_S, hair_at_rest(1))
    np.testing.assert_allclose(rates, rates[0, 0], rtol=1e-9)
    assert 20.0 < rates[0, 0] < 100.0


@settings(max_examples=20)
@given(st.integers(0, 2**40), st.integers(0, 24), st.integers(0, 200), st.integers(0, 200))
def test_the_nerve_is_its_twin_however_the_steps_are_cut(
    seed: int, dead_steps: int, cut: int, rate_seed: int
) -> None:
    rates = np.random.default_rng(rate_seed).uniform(0.0, 4_000.0, (3, 200))
    fired, dead = np.zeros((3, max(dead_steps, 1)), np.int64), np.zeros(3, np.int64)
    counts = np.zeros((3, 200), np.int64)
    for begin, end in ((0, cut), (cut, 200)):
        part = np.zeros((3, end - begin), np.int64)
        at = (seed, begin, dead_steps, STEP_S)
        fire(*at, rates[:, begin:end].copy(), fired, dead, part)
        counts[:, begin:end] = part
    np.testing.assert_array_equal(counts, fire_plainly(seed, 0, dead_steps, STEP_S, rates))
    assert counts.max(initial=0) <= FIBRES


def test_the_nerve_fires_as_often_as_fibres_with_a_dead_time_do() -> None:
    rate_hz, steps = 200.0, 60_000
    counts = np.zeros((8, steps), np.int64)
    rates = np.full((8, steps), rate_hz)
    fire(0, 0, 23, STEP_S, rates, np.zeros((8, 23), np.int64), np.zeros(8, np.int64), counts)
    expected = rate_hz / (1.0 + 23 * STEP_S * rate_hz)
    assert counts.mean() / STEP_S / FIBRES == pytest.approx(expected, rel=0.01)
    assert abs(np.corrcoef(counts[0], counts[1])[0, 1]) < 0.02


@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(0.0, 8.0), st.integers(0, 400), st.integers(1, 30))
def test_the_bushy_cells_are_their_twin(seed: int, mean: float, cut: int, deaf_steps: int) -> None:
    counts = np.random.default_rng(seed).poisson(mean, (3, 400))
    cells = np.zeros(3), np.zeros(3), np.zeros(3, np.int64)
    steps, channels = [], []
    for begin, end in ((0, cut), (cut, 400)):
        step, channel = np.zeros(1_300, np.int64), np.zeros(1_300, np.uint16)
        part = counts[:, begin:end].copy()
        spikes = integrate(part, begin, deaf_steps, STEP_S, *cells, step, channel)
        steps += step[:spikes].tolist()
        channels += channel[:spikes].tolist()
    twin = integrate_plainly(counts, deaf_steps, STEP_S)
    assert sorted(zip(steps, channels, strict=True)) == list(
        zip(twin[0].tolist(), twin[1].tolist(), strict=True)
    )


@pytest.mark.parametrize("samples", [1, 2, 3, 9, 10])
def test_a_recording_fades_as_numpy_hanning_does(samples: int) -> None:
    expected = np.ones(samples)
    half = samples // 2
    if half:
        expected[:half], expected[-half:] = np.split(np.hanning(2 * half), 2)
    np.testing.assert_allclose(faded(samples, 0, samples), expected, atol=1e-12)
    parts = [faded(samples, begin, 1) for begin in range(samples)]
    np.testing.assert_array_equal(np.concatenate(parts), faded(samples, 0, samples))


def test_loud_and_soft_recordings_are_heard_alike() -> None:
    sound = noise(8_000)
    loud, soft = (heard(LauscherSpec(channels=6), 16_000, gain * sound) for gain in (1.0, 0.125))
    assert loud.t_us.tolist() == soft.t_us.tolist()
    assert len(loud) > 20


def test_silence_fires_at_random_alone_and_another_seed_draws_otherwise() -> None:
    silence = np.zeros(16_000)
    one, same, other = (
        heard(LauscherSpec(channels=40, seed=seed), 16_000, silence).t_us.tolist()
        for seed in (0, 0, 1)
    )
    assert one == same != other
    assert 0 < len(one) < 40 * 10


def test_a_sound_without_an_end_is_refused_with_its_fix() -> None:
    with pytest.raises(CochleaError, match="as a whole, and this sound has no end yet; set level"):
        EAR.hearing(LauscherSpec(), 16_000, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, "channels is 0, expected more than 0"),
        ({"ahead_ms": 2_000.0}, "ahead_ms is 2000, expected at most 1000"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"loudness": float("nan")}, "loudness is nan, expected a finite number"),
    ],
)
def test_an_ear_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CochleaError, match=message):
        LauscherSpec(**change)
    with pytest.raises(CochleaError, match="sound at 1000 Hz, expected 4000 to 192000 Hz"):
        EAR.hearing(FEW, 1_000, None)


@pytest.fixture(name="published")
def published_spikes(recordings_folder: Path) -> tuple[NDArray[np.float64], int, Any]:
    """The sound, its rate, and the spikes that the authors of SHD publish for it."""
    sound, rate_hz = soundfile.read(recordings_folder / "cochlea" / "spoken_digit.flac")
    spikes = np.load(recordings_folder / "cochlea" / "spoken_digit.lauscher70.npz")["arr_0"]
    return sound, rate_hz, spikes


def correlation(one: Any, other: Any) -> float:
    return float(np.asarray(np.corrcoef(np.array([one, other])))[0, 1])


def pairs(steps: Any, channels: Any) -> set[tuple[int, int]]:
    rounded, channel = np.rint(steps).astype(int).tolist(), np.asarray(channels, int).tolist()
    return set(zip(rounded, channel, strict=True))


@pytest.mark.recordings
def test_by_the_published_random_numbers_the_published_spikes_come_out_all_618_of_them(
    published: tuple[NDArray[np.float64], int, Any],
) -> None:
    sound, rate_hz, (times_s, channels) = published
    velocity = published_velocity(sound, rate_hz, 70)
    rates = np.empty_like(velocity)
    transduce(velocity, 2.0 / rate_hz, *hair_at_rest(70), rates)
    counts = PublishedDraws(70, rates.shape[1], 24)(0, rates * (2.0 / rate_hz))
    step, channel = np.zeros(70 * 1_000, np.int64), np.zeros(70 * 1_000, np.uint16)
    cells = np.zeros(70), np.zeros(70), np.zeros(70, np.int64)
    spikes = integrate(counts, 0, 24, 2.0 / rate_hz, *cells, step, channel)
    found = pairs(step[:spikes], channel[:spikes])
    assert found == pairs(times_s * rate_hz / 2.0, channels)
    assert len(found) == 618


@pytest.mark.recordings
def test_heard_in_pieces_by_those_numbers_the_published_spikes_come_within_a_millisecond(
    published: tuple[NDArray[np.float64], int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks cannot have the stretch of the published transform, 42 us at the end."""
    sound, rate_hz, (times_s, channels) = published
    draws = PublishedDraws(70, len(sound) // 2 + 1, 24)

    def draw(seed: int, first: int, dead: int, dt_s: float, rate: Any, *rest: Any) -> None:
        rest[-1][:] = draws(first, rate * dt_s)

    monkeypatch.setattr(hearing, "fire", draw)
    events = heard(LauscherSpec(channels=70), rate_hz, sound, 10_000, 20_001)
    found = pairs(events.t_us * 0.024, channels_of(events))
    expected = pairs(times_s * 24_000.0, channels)
    assert abs(len(found) - 618) <= 10
    near = sum(
        any((step + away, channel) in found for away in range(-24, 25))
        for step, channel in expected
    )
    assert near >= 0.92 * 618
    counts = [
        np.bincount(np.asarray(each, int), minlength=70) for each in (channels, channels_of(events))
    ]
    assert np.abs(counts[0] - counts[1]).max() <= 3


@pytest.mark.recordings
@pytest.mark.parametrize("seed", range(4))
def test_by_other_random_numbers_channels_and_times_agree_as_two_draws_do(
    published: tuple[NDArray[np.float64], int, Any], seed: int
) -> None:
    sound, rate_hz, (times_s, channels) = published
    events = heard(LauscherSpec(channels=70, seed=seed), rate_hz, sound)
    assert 0.88 * 618 < len(events) < 1.12 * 618
    both = (channels, channels_of(events))
    of_channel = [np.bincount(np.asarray(each, int), minlength=70) for each in both]
    assert correlation(*of_channel) > 0.94
    bins = np.arange(0.0, 0.82, 0.02)
    of_time = [np.histogram(t, bins)[0] for t in (times_s, events.t_us * 1e-6)]
    assert correlation(*of_time) > 0.96
