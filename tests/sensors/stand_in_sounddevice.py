"""A stand-in for the sounddevice package: a microphone that plays a sound's samples.

Its blocks are handed over as the package does it: a view, float32 `(frames, channels)`, of a buffer
that is written over for the next block, with a time in seconds and flags as attributes.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEVICES = [
    {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"name": "Built-in", "max_input_channels": 2, "default_samplerate": 44_100.0},
    {"name": "USB mic", "max_input_channels": 1, "default_samplerate": 16_000.0},
]


class PortAudioError(Exception):
    """As the package's own: text, code, and more."""


@dataclass
class SoundDevice:
    """The module. `overflows` maps a block's number to the samples that were lost before it."""

    sound: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    rates_hz: tuple[int, ...] = (8_000, 16_000, 44_100, 48_000)
    overflows: dict[int, int] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    closed: threading.Event = field(default_factory=threading.Event)
    PortAudioError: type[Exception] = PortAudioError
    # What is waited for before each block; none by default.
    before_block: Callable[[int], None] = lambda _: None

    @property
    def default(self) -> SimpleNamespace:
        return SimpleNamespace(device=[1, 0])

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return DEVICES
        number = 1 if device is None else device
        if isinstance(number, str):
            found = [each for each in DEVICES if str(number).lower() in str(each["name"]).lower()]
            if not found:
                raise ValueError(f"No input device matching {number!r}")
            return found[0]
        if number >= len(DEVICES):
            raise PortAudioError(f"Error querying device {number}", -9996)
        return DEVICES[number]

    def InputStream(self, **asked: Any) -> "_Stream":  # noqa: N802  (as the package names it)
        self.asked = asked
        if asked["samplerate"] not in self.rates_hz:
            raise PortAudioError("Error opening InputStream: Invalid sample rate", -9997)
        return _Stream(self, asked["callback"], asked["samplerate"], asked["blocksize"])


@dataclass
class _Stream:
    device: SoundDevice
    callback: Callable[..., None]
    rate_hz: int
    blocksize: int
    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "_Stream":
        self.thread = threading.Thread(target=self._play, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop.set()
        assert self.thread is not None
        self.thread.join()
        self.device.closed.set()

    def _play(self) -> None:
        buffer = np.zeros((self.blocksize, 1), np.float32)
        for number, begin, block in self._blocks():
            self.device.before_block(number)
            if self.stop.is_set():
                return
            buffer[: len(block), 0] = block
            time = SimpleNamespace(inputBufferAdcTime=100.0 + begin / self.rate_hz)
            flags = SimpleNamespace(input_overflow=number in self.device.overflows)
            self.callback(buffer[: len(block)], len(block), time, flags)
            buffer[:] = np.nan

    def _blocks(self) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
        number, at = 0, 0
        while at < len(self.device.sound):
            at += self.device.overflows.get(number, 0)
            yield number, at, self.device.sound[at : at + self.blocksize]
            at += self.blocksize
            number += 1
