"""A microphone hears what a file of the same samples holds, and counts what it has lost."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from retempo.sensors.collect import read_all
from retempo.sensors.ears.registry import EarSpec, parse, start
from retempo.sensors.errors import CochleaError, SensorError
from retempo.sensors.events import EventChunk, live_of
from retempo.sensors.files import open_recording
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.microphone import Input, Microphone, devices, list_microphones, source
from retempo.sensors.open import open_source
from tests.sensors.stand_in_sounddevice import SoundDevice
from tests.sensors.test_cochlea import channels_of, noise
from tests.sound import make_word

RATE_HZ = 16_000
FEW = parse("gammatone?channels=32&charge_hz=4000")


@pytest.fixture(name="device")
def stand_in(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    """The package in place of the real one, whose microphone plays a word."""
    device = SoundDevice(make_word(200.0, RATE_HZ, 0.5))
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device


def whole(sound: Any, ear: EarSpec, rate_hz: int = RATE_HZ) -> EventChunk:
    hearing = start(ear, rate_hz)
    state, chunk = hearing.feed(hearing.start, np.asarray(sound, np.float32))
    last = hearing.finish(state)
    return EventChunk(
        np.concatenate([chunk.t_us, last.t_us]),
        last.t_end_us,
        channel=np.concatenate([channels_of(chunk), channels_of(last)]),
    )


def assert_same(found: EventChunk, expected: EventChunk) -> None:
    np.testing.assert_array_equal(found.t_us, expected.t_us)
    np.testing.assert_array_equal(channels_of(found), channels_of(expected))
    assert found.t_end_us == expected.t_end_us
    assert len(expected) > 10


@pytest.mark.parametrize(
    "ear",
    ["gammatone?channels=32", "speech2spikes", "lauscher?channels=8&level=running&ahead_ms=50"],
)
def test_a_microphone_hears_what_its_samples_hold_whatever_the_ear(
    device: SoundDevice, ear: str
) -> None:
    source = open_source("mic:?rate=16000&seconds=0.5", ear=parse(ear))
    assert_same(read_all(source), whole(device.sound, parse(ear)))
    assert device.closed.is_set()
    assert {key: device.asked[key] for key in ("channels", "dtype", "blocksize", "samplerate")} == {
        "channels": 1,
        "dtype": "float32",
        "blocksize": 160,
        "samplerate": RATE_HZ,
    }


@pytest.mark.recordings
def test_a_spoken_digit_into_the_microphone_is_the_digit_from_its_file(
    device: SoundDevice, recordings_folder: Path
) -> None:
    path = recordings_folder / "fsdd" / "7_jackson_2.wav"
    device.sound, rate_hz = soundfile.read(path)
    seconds = len(device.sound) / rate_hz
    source = open_source(f"mic:?rate={rate_hz}&seconds={seconds!r}&channels=64")
    played = read_all(source)
    filed = read_all(open_recording(path, geometry=ChannelGeometry(64)))
    np.testing.assert_array_equal(played.t_us, filed.t_us)
    np.testing.assert_array_equal(channels_of(played), channels_of(filed))
    assert len(filed) > 100


def test_silence_moves_the_watermark_block_by_block(device: SoundDevice) -> None:
    device.sound = np.zeros(RATE_HZ)
    chunks = list(open_source("mic:?rate=16000&seconds=1"))
    assert [len(chunk) for chunk in chunks] == [0] * 101
    ends = [chunk.t_end_us for chunk in chunks]
    assert ends == [*range(10_000, 1_000_001, 10_000), 1_000_000]
    assert [chunk.sequence for chunk in chunks] == list(range(101))
    assert {chunk.stream for chunk in chunks} == {"mic:?rate=16000&seconds=1"}


def test_what_the_ring_cannot_hold_is_counted_and_silence_stands_in_for_it(
    device: SoundDevice,
) -> None:
    device.sound = noise(16_000)
    heard_first, played, turns = threading.Event(), threading.Event(), threading.Semaphore(0)

    def before(number: int) -> None:
        if number == 1:
            # The first block has been taken; the reader holds still until 30 more have come.
            heard_first.wait()
        if number == 31:
            played.set()
        if number >= 31:
            turns.acquire()

    device.before_block = before
    chunks = iter(Microphone("mic:", RATE_HZ, FEW, seconds=1.0, ring_blocks=5))
    found = [next(chunks)]
    heard_first.set()
    played.wait()
    # Five of the 30 wait in the ring; the others are lost.
    found.extend(next(chunks) for _ in range(5))
    turns.release()
    for chunk in chunks:
        found.append(chunk)
        turns.release()
    lost = [chunk.problems.get("overrun", 0) for chunk in found]
    assert [count for count in lost if count] == [25 * 160]
    assert lost[6] == 25 * 160
    expected = device.sound.copy()
    expected[6 * 160 : 31 * 160] = 0.0
    joined = EventChunk(
        np.concatenate([chunk.t_us for chunk in found]),
        found[-1].t_end_us,
        channel=np.concatenate([channels_of(chunk) for chunk in found]),
    )
    assert_same(joined, whole(expected, FEW))


def test_what_the_device_has_lost_is_known_by_its_clock(device: SoundDevice) -> None:
    device.sound = noise(16_000)
    device.overflows = {3: 500, 7: 0}
    source = Microphone("mic:", RATE_HZ, FEW, seconds=0.5)
    found = list(source)
    assert [chunk.problems.get("overrun") for chunk in found[:9]] == [
        *[None] * 3,
        500,
        *[None] * 3,
        # Nobody knows how many, but some were lost.
        1,
        None,
    ]
    expected = device.sound[:8_000].copy()
    expected[3 * 160 : 3 * 160 + 500] = 0.0
    joined = EventChunk(
        np.concatenate([chunk.t_us for chunk in found]),
        found[-1].t_end_us,
        channel=np.concatenate([channels_of(chunk) for chunk in found]),
    )
    assert_same(joined, whole(expected, FEW))


def test_a_microphone_that_is_no_longer_iterated_is_closed(device: SoundDevice) -> None:
    chunks = iter(open_source("mic:?rate=16000"))
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert device.closed.is_set()


def test_a_microphone_is_a_live_source_that_ends_when_it_is_asked_to(device: SoundDevice) -> None:
    device.sound = noise(16_000)
    source = open_source("mic:?rate=16000&channels=32")
    live = live_of(source)
    assert live is source
    assert live.clock == "sensor"
    assert "16,000 Hz" in live.about
    chunks = iter(source)
    found = [next(chunks)]
    live.stop()
    found.extend(chunks)
    assert device.closed.is_set()
    assert found[-1].t_end_us >= found[0].t_end_us
    live.close()


def test_a_microphone_that_goes_on_is_not_waited_for_once_it_is_asked_to_end(
    device: SoundDevice,
) -> None:
    device.sound = noise(8 * RATE_HZ)
    taken, turns = threading.Event(), threading.Semaphore(0)

    def before(number: int) -> None:
        if number > 8:
            taken.set()
            turns.acquire()

    device.before_block = before
    live = Microphone("mic:", RATE_HZ, FEW)
    chunks = iter(live)
    next(chunks)
    taken.wait()
    live.stop()
    heard = 0
    while next(chunks, None) is not None:
        heard += 1
        # Two more come in for each that is heard, so the ring is never empty.
        turns.release(2)
    # The eight that had arrived, and the end.
    assert heard < 20
    turns.release(800)


def test_a_microphone_that_falls_silent_is_told(
    device: SoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_SILENT_S", 0.2)
    with pytest.raises(SensorError, match=r"has given no sample for 0\.2 s; is it still there"):
        list(open_source("mic:?rate=16000"))
    assert device.closed.is_set()


def test_the_rate_is_the_device_s_own_and_a_device_may_be_named(device: SoundDevice) -> None:
    for text, rate_hz in (("mic:", 44_100), ("mic:?device=2", 16_000), ("mic:?device=usb", 16_000)):
        source = open_source(text)
        assert isinstance(source, Microphone)
        assert source.rate_hz == rate_hz
        assert source.geometry == ChannelGeometry(700)
    assert open_source("mic:", ChannelGeometry(64)).geometry == ChannelGeometry(64)
    assert open_source("mic:?ear=speech2spikes&mels=10").geometry == ChannelGeometry(20)


def test_microphones_are_listed_with_the_text_that_opens_them(device: SoundDevice) -> None:
    assert list_microphones() == [
        Input(1, "Built-in", 2, 44_100, default=True),
        Input(2, "USB mic", 1, 16_000, default=False),
    ]
    assert list_microphones()[1].source == "mic:?device=2"
    assert open_source(list_microphones()[1].source).geometry == ChannelGeometry(700)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mic:2", r"mic:2 names '2', expected mic: or mic:\?device=2; see retempo devices"),
        ("mic:?device=9", "there is no such microphone .Error querying device 9"),
        ("mic:?device=none", "there is no such microphone .No input device matching 'none'"),
        ("mic:?rate=fast", "has the rate 'fast', expected a positive number"),
        ("mic:?seconds=-1", "has the seconds '-1', expected a positive number"),
        ("mic:?chanels=64", "the ear gammatone has no setting 'chanels'"),
        ("mic:?ear=lauscher", "this sound has no end yet; set level=running"),
        ("mic:?rate=500", "mic:.rate=500: sound at 500 Hz, expected 1000 to 1000000 Hz"),
    ],
)
def test_a_text_that_opens_no_microphone_is_refused(
    device: SoundDevice, text: str, words: str
) -> None:
    with pytest.raises(SensorError, match=words) as caught:
        open_source(text)
    assert "\n" not in str(caught.value)


def test_what_does_not_go_with_a_microphone_is_refused(device: SoundDevice) -> None:
    with pytest.raises(SensorError, match="is a microphone, got the geometry 34x34x2"):
        open_source("mic:", GridGeometry(34, 34))
    with pytest.raises(SensorError, match="names channels, and the ear is given; leave one out"):
        open_source("mic:?channels=3", ear=FEW)
    with pytest.raises(SensorError, match="simulated:3 is no sound, so no ear can hear it"):
        open_source("simulated:3", ear=FEW)
    with pytest.raises(
        SensorError, match=r"cannot record at 12345 Hz: .*Invalid sample rate; name"
    ):
        list(open_source("mic:?rate=12345"))


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ImportError("no"), "needs sounddevice; pip install 'retempo.audio.'"),
        (OSError("PortAudio library not found"), "needs the library PortAudio, which this machine"),
    ],
)
def test_without_the_package_or_its_library_the_fix_is_told(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, words: str
) -> None:
    def fail(name: str) -> None:
        raise failure

    monkeypatch.setattr(devices, "import_module", fail)
    for ask in (list_microphones, lambda: open_source("mic:")):
        with pytest.raises(SensorError, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, CochleaError)
