"""The devices that can record, by the sounddevice package, and what is told where they cannot."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from retempo.sensors.errors import SensorError


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


def find(name: str, device: int | str | None) -> Any:
    """What sounddevice knows of a device, the system's own if None.

    Raises:
        SensorError: there is none, or sounddevice or PortAudio is missing; `name` is for the text.
    """
    sounddevice = _sounddevice()
    try:
        return sounddevice.query_devices(device, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise SensorError(
            f"{name}: there is no such microphone ({_why(error)}); retempo devices lists those "
            "that are there"
        ) from error


def opened(
    name: str, device: int | str | None, rate_hz: int, block: int, callback: Callable[..., None]
) -> Any:
    """Open a device as a context manager; `callback` is called with every block of samples.

    Raises:
        SensorError: it cannot record at the rate.
    """
    sounddevice = _sounddevice()
    try:
        return sounddevice.InputStream(
            samplerate=rate_hz,
            blocksize=block,
            device=device,
            channels=1,
            dtype="float32",
            latency="low",
            callback=callback,
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        raise SensorError(
            f"{name} cannot record at {rate_hz} Hz: {_why(error)}; name "
            "another rate or device, as in mic:?rate=48000&device=1"
        ) from error


def _why(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())
