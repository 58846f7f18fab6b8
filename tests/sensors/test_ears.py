"""Ears as plain data and as text, and the gain that two of them share."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.ears.ear import measured
from retempo.sensors.ears.level import Follower, followed, followed_plainly
from retempo.sensors.ears.registry import (
    EARS,
    EarSpec,
    describe,
    ear_of,
    from_plain,
    geometry_of,
    parse,
    plain,
    start,
    with_channels,
)
from retempo.sensors.errors import CochleaError
from retempo.sensors.lauscher import LauscherSpec
from retempo.sensors.speech2spikes import Speech2SpikesSpec

OTHERS: list[EarSpec] = [
    CochleaSpec(channels=64, high_hz=3_600.0),
    LauscherSpec(channels=70, level="running", seed=3),
    Speech2SpikesSpec(mels=30, threshold=0.5),
]


@pytest.mark.parametrize("spec", [*OTHERS, *(ear.spec() for ear in EARS)], ids=describe)
def test_an_ear_goes_through_plain_data_json_and_text(spec: EarSpec) -> None:
    content = plain(spec)
    assert next(iter(content)) == "kind"
    assert set(content) == {"kind", *spec.__struct_fields__}
    assert from_plain(content) == spec
    assert from_plain(msgspec.json.decode(msgspec.json.encode(content))) == spec
    assert parse(describe(spec)) == spec


def test_the_text_of_an_ear_has_what_is_not_the_default() -> None:
    assert [describe(spec) for spec in OTHERS] == [
        "gammatone?channels=64&high_hz=3600",
        "lauscher?channels=70&level=running&seed=3",
        "speech2spikes?mels=30&threshold=0.5",
    ]
    assert parse("gammatone") == CochleaSpec()
    assert parse("speech2spikes?threshold=.5") == Speech2SpikesSpec(threshold=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the ear '' is unknown, expected gammatone, lauscher or speech2spikes"),
        ("cochlea", "the ear 'cochlea' is unknown"),
        ("lauscher?chanels=2", "the ear lauscher has no setting 'chanels'; it has channels, level"),
        ("lauscher?level=loud", "the ear lauscher: Invalid enum value 'loud' - at level"),
        ("gammatone?channels=many", "the ear gammatone: Expected int, got str - at channels"),
        ("gammatone?channels=0", "the ear gammatone: channels is 0, expected more than 0"),
        ("gammatone?low_hz=nan", "the ear gammatone: low_hz is nan, expected a finite number"),
        ("speech2spikes?mels=1&mels=2", "names a setting twice, expected each once"),
        ("lauscher?kind=gammatone", "names a kind as a setting; write it first"),
    ],
)
def test_a_text_that_names_no_ear_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(CochleaError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [{}, {"kind": 3}, {"kind": "gammatone", "channels": None}, {"kind": "lauscher", "seed": 0.5}],
)
def test_damaged_plain_data_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(CochleaError):
        from_plain(content)


@pytest.mark.parametrize("spec", OTHERS, ids=describe)
def test_every_ear_fires_in_its_channels_alone_and_tells_how_far_it_has_heard(
    spec: EarSpec,
) -> None:
    sound = np.random.default_rng(0).normal(0.0, 0.2, 16_000)
    hearing = start(spec, 16_000, measured([sound]))
    state, chunk = hearing.feed(hearing.start, sound)
    last = hearing.finish(state)
    assert len(chunk) > 20
    assert chunk.channel is not None
    assert chunk.channel.max() < geometry_of(spec).channels
    assert chunk.t_end_us <= last.t_end_us == 1_000_000
    with pytest.raises(CochleaError, match="sample 16001 of the sound is nan"):
        hearing.feed(state, [0.0, np.nan])


@pytest.mark.parametrize(
    ("heading", "spec"),
    [
        ("The gammatone ear", CochleaSpec()),
        ("The Heidelberg ear", LauscherSpec()),
        ("The Speech2Spikes ear", Speech2SpikesSpec()),
    ],
)
def test_the_page_states_the_default_settings_of_every_ear(heading: str, spec: EarSpec) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "cochlea.md"
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    stated: dict[str, object] = {}
    for row in re.findall(r"^\| (`.*?) \| (\S.*?) \|", section, re.MULTILINE):
        names, values = re.findall(r"`(\w+)`", row[0]), row[1].split(", ")
        stated |= dict(zip(names, values, strict=True))
    settings = msgspec.structs.asdict(spec)
    assert list(stated) == list(settings)
    for name, value in settings.items():
        assert type(value)(stated[name]) == value


def test_an_ear_of_other_channels_is_of_the_same_kind() -> None:
    for spec in OTHERS:
        wider = with_channels(spec, 90)
        assert geometry_of(wider).channels == 90
        assert ear_of(wider) is ear_of(spec)
    with pytest.raises(CochleaError, match="speech2spikes has an even number of channels, not 7"):
        with_channels(Speech2SpikesSpec(), 7)


@settings(max_examples=50)
@given(st.lists(st.floats(-1.0, 1.0, width=32), max_size=200), st.integers(0, 200))
def test_the_gain_is_its_twin_however_the_samples_are_cut(sound: list[float], cut: int) -> None:
    follower = Follower(attack=0.01, release=0.001, floor_power=1e-5, level=0.1)
    samples = np.array(sound)
    power, expected = followed_plainly(follower, 1e-5, samples)
    between, first = followed(follower, 1e-5, samples[:cut])
    after, second = followed(follower, between, samples[cut:])
    assert after == power
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)


def test_a_whole_sound_is_measured_in_pieces() -> None:
    sound = np.random.default_rng(0).normal(size=1_000)
    assert measured([]) == (0, 0.0)
    whole = measured(np.split(sound, [10, 10, 700]))
    assert whole.samples == 1_000
    assert whole.power == pytest.approx(float(np.mean(sound**2)))
