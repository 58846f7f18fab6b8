"""A microphone as a source of events: sounddevice's samples through an ear.

The callback only copies; hearing is done where the source is iterated. What is lost between the two
is counted and replaced by silence, so that event time keeps pace with the clock.
"""

import math
import queue
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.ears.ear import Hearing
from retempo.sensors.ears.registry import DEFAULT, EarSpec, ear_of, geometry_of, parse, start
from retempo.sensors.errors import CochleaError, SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry

# Blocks of 10 ms: the delay that a microphone adds. Two seconds may wait before any is lost.
_BLOCK_S = 0.01
_RING_BLOCKS = 200
# A device that has gone silent for so long is gone.
_SILENT_S = 5.0
# What is taken for a gap of lost samples, at most; beyond, the machine was asleep.
_LONGEST_GAP_S = 10.0
# The options of a microphone's text that are not its ear's.
_OWN: tuple[str, ...] = ("device", "rate", "seconds")


@dataclass(frozen=True, slots=True)
class Input:
    """A microphone that is there: what names it in `mic:?device=`, and its own sample rate."""

    device: int
    name: str
    channels: int
    rate_hz: int
    default: bool

    @property
    def source(self) -> str:
        """The text that opens it."""
        return f"mic:?device={self.device}"


class _Block(NamedTuple):
    """Samples, and how many before them were lost; `overran` even where nobody counted them."""

    samples: NDArray[np.float32]
    lost: int
    overran: bool


@dataclass(frozen=True, slots=True)
class Microphone:
    """A microphone, heard until `seconds` are over or the iteration is closed.

    `device` is a number or part of a name, as sounddevice takes it; the system's own if None. Every
    chunk's watermark follows the samples, so that silence is told as it passes. Lost samples are
    counted in `problems` as `overrun`.

    Iterating raises:
        SensorError: sounddevice or PortAudio is missing, there is no such device, it cannot record
            at the rate, or it went away.
    """

    name: str
    rate_hz: int
    ear: EarSpec
    device: int | str | None = None
    seconds: float | None = None
    ring_blocks: int = field(default=_RING_BLOCKS, repr=False)

    @property
    def geometry(self) -> ChannelGeometry:
        """The channels of the ear."""
        return geometry_of(self.ear)

    def __iter__(self) -> Iterator[EventChunk]:
        hearing = start(self.ear, self.rate_hz)
        sequence = 0
        state = hearing.start
        for block in self._blocks():
            state, chunk = _heard(hearing, state, block)
            problems = {"overrun": max(block.lost, 1)} if block.overran else {}
            yield replace(chunk, stream=self.name, sequence=sequence, problems=problems)
            sequence += 1
        yield replace(hearing.finish(state), stream=self.name, sequence=sequence)

    def _blocks(self) -> Iterator[_Block]:
        ring: queue.Queue[_Block] = queue.Queue(self.ring_blocks)
        catcher = _Catcher(ring, self.rate_hz)
        left = math.inf if self.seconds is None else round(self.seconds * self.rate_hz)
        with _opened(self, catcher):
            while left > 0:
                try:
                    block = ring.get(timeout=_SILENT_S)
                except queue.Empty as error:
                    raise SensorError(
                        f"{self.name} has given no sample for {_SILENT_S:g} s; is it still there?"
                    ) from error
                lost = int(min(block.lost, left))
                samples = block.samples[: int(min(len(block.samples), left - lost))]
                left -= lost + len(samples)
                yield block._replace(samples=samples, lost=lost)


class _Catcher:
    """What PortAudio calls with each block: copies it into the ring, or counts it as lost."""

    def __init__(self, ring: "queue.Queue[_Block]", rate_hz: int) -> None:
        self._ring = ring
        self._rate_hz = rate_hz
        self._lost = 0
        self._overran = False
        self._expected_s: float | None = None

    def __call__(self, indata: NDArray[np.float32], frames: int, time: Any, status: Any) -> None:
        """Take one block, `(frames, channels)`; `time` and `status` are those of PortAudio."""
        began_s = float(time.inputBufferAdcTime)
        if status.input_overflow:
            self._overran = True
            if self._expected_s is not None:
                gap_s = min(max(began_s - self._expected_s, 0.0), _LONGEST_GAP_S)
                self._lost += round(gap_s * self._rate_hz)
        self._expected_s = began_s + frames / self._rate_hz
        try:
            self._ring.put_nowait(
                _Block(indata.mean(axis=1, dtype=np.float32), self._lost, self._overran)
            )
        except queue.Full:
            self._lost += frames
            self._overran = True
        else:
            self._lost, self._overran = 0, False


def _heard(hearing: Hearing[Any], state: Any, block: _Block) -> tuple[Any, EventChunk]:
    silence = np.zeros(block.lost, np.float32)
    return hearing.feed(state, np.concatenate([silence, block.samples]))


def open_microphone(rest: str, geometry: Geometry | None) -> Microphone:
    """Open `mic:?device=2&rate=16000&ear=gammatone&channels=64`; what is left is the ear's own.

    Raises:
        SensorError: an option is malformed, or see `Microphone`; the device is looked up at once.
        CochleaError: the ear has no such setting, or cannot hear the rate, or not without an end.
    """
    options = _options(rest)
    if isinstance(geometry, ChannelGeometry):
        options.setdefault("channels", str(geometry.channels))
    elif geometry is not None:
        raise SensorError(f"mic:{rest} is a microphone, got the geometry {geometry}; leave it out")
    own = {name: options.pop(name) for name in _OWN if name in options}
    ear = options.pop("ear", ear_of(DEFAULT).name)
    return _microphone(rest, own, parse(f"{ear}?{urlencode(options)}"))


def hear_microphone(rest: str, ear: EarSpec) -> Microphone:
    """As `open_microphone`, by an ear that the text does not name.

    Raises:
        SensorError: the text has an option that is not the microphone's; else see there.
    """
    options = _options(rest)
    for name in options:
        if name not in _OWN:
            raise SensorError(f"mic:{rest} names {name}, and the ear is given; leave one out")
    return _microphone(rest, options, ear)


def list_microphones() -> list[Input]:
    """Return every device that can record.

    Raises:
        SensorError: sounddevice or PortAudio is missing.
    """
    sounddevice = _sounddevice()
    standard = sounddevice.default.device[0]
    return [
        Input(
            device=number,
            name=str(found["name"]),
            channels=int(found["max_input_channels"]),
            rate_hz=round(found["default_samplerate"]),
            default=number == standard,
        )
        for number, found in enumerate(sounddevice.query_devices())
        if found["max_input_channels"] > 0
    ]


def _options(rest: str) -> dict[str, str]:
    place, _, query = rest.partition("?")
    if place:
        raise SensorError(
            f"mic:{rest} names {place!r}, expected mic: or mic:?device={place}; see retempo devices"
        )
    return dict(parse_qsl(query, keep_blank_values=True))


def _microphone(rest: str, options: dict[str, str], ear: EarSpec) -> Microphone:
    name = f"mic:{rest}"
    text = options.get("device")
    device = int(text) if text is not None and text.isdecimal() else text
    rate_hz = _number(name, options, "rate")
    found = _device(name, device)
    rate_hz = found["default_samplerate"] if rate_hz is None else rate_hz
    microphone = Microphone(name, round(rate_hz), ear, device, _number(name, options, "seconds"))
    try:
        start(ear, microphone.rate_hz)
    except CochleaError as error:
        raise CochleaError(f"{name}: {error}") from error
    return microphone


def _number(name: str, options: dict[str, str], key: str) -> float | None:
    text = options.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SensorError(f"{name} has the {key} {text!r}, expected a positive number")
    return value


def _sounddevice() -> Any:
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise SensorError("a microphone needs sounddevice; pip install 'retempo[audio]'") from error
    # The package is there, the library that it wraps is not.
    except OSError as error:
        raise SensorError(
            "a microphone needs the library PortAudio, which this machine lacks; install it "
            "(Debian, Ubuntu: apt install libportaudio2)"
        ) from error


def _device(name: str, device: int | str | None) -> Any:
    sounddevice = _sounddevice()
    try:
        return sounddevice.query_devices(device, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise SensorError(
            f"{name}: there is no such microphone ({_why(error)}); retempo devices lists those "
            "that are there"
        ) from error


def _opened(microphone: Microphone, catcher: _Catcher) -> Any:
    sounddevice = _sounddevice()
    try:
        return sounddevice.InputStream(
            samplerate=microphone.rate_hz,
            blocksize=max(1, round(_BLOCK_S * microphone.rate_hz)),
            device=microphone.device,
            channels=1,
            dtype="float32",
            latency="low",
            callback=catcher,
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        raise SensorError(
            f"{microphone.name} cannot record at {microphone.rate_hz} Hz: {_why(error)}; name "
            "another rate or device, as in mic:?rate=48000&device=1"
        ) from error


def _why(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())
