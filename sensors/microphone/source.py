"""A microphone as a source of events: a device's samples through an ear.

The callback only copies; hearing is done where the source is iterated. What is lost between the two
is counted and replaced by silence, so that event time keeps pace with the clock.
"""

import math
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.ears.ear import Hearing
from retempo.sensors.ears.registry import EarSpec, geometry_of, start
from retempo.sensors.errors import SensorError
from retempo.sensors.events import Clock, EventChunk
from retempo.sensors.geometry import ChannelGeometry
from retempo.sensors.microphone.devices import opened

# Blocks of 10 ms: the delay that a microphone adds. Two seconds may wait before any is lost.
_BLOCK_S = 0.01
_RING_BLOCKS = 200
# A device that has gone silent for so long is gone.
_SILENT_S = 5.0
# How soon a microphone that waits for samples sees that it is to stop.
_LOOK_S = 0.1
# What is taken for a gap of lost samples, at most; beyond, the machine was asleep.
_LONGEST_GAP_S = 10.0


class _Block(NamedTuple):
    """Samples, and how many before them were lost; `overran` even where nobody counted them."""

    samples: NDArray[np.float32]
    lost: int
    overran: bool


@dataclass(frozen=True, slots=True)
class Microphone:
    """A microphone, a live source, heard until `seconds` are over, or it is stopped.

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
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def clock(self) -> Clock:
        """Samples are counted: time is the device's own."""
        return "sensor"

    @property
    def about(self) -> str:
        """What it reads, as one clause for a person."""
        return f"a microphone at {self.rate_hz:,} Hz, {self.geometry}"

    def stop(self) -> None:
        """End the stream behind the samples that have arrived; see `sensors.events.LiveSource`."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the device, which is open only while it is iterated."""
        self.stop()

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
        block = max(1, round(_BLOCK_S * self.rate_hz))
        waiting: int | None = None
        with opened(self.name, self.device, self.rate_hz, block, catcher):
            while left > 0:
                if waiting is None and self._stopped.is_set():
                    # The device goes on: what it gives from now on is not waited for.
                    waiting = ring.qsize()
                if waiting == 0:
                    return
                waiting = None if waiting is None else waiting - 1
                found = self._next(ring)
                if found is None:
                    return
                lost = int(min(found.lost, left))
                samples = found.samples[: int(min(len(found.samples), left - lost))]
                left -= lost + len(samples)
                yield found._replace(samples=samples, lost=lost)

    def _next(self, ring: "queue.Queue[_Block]") -> _Block | None:
        """The next block; None where it was stopped and nothing waits any more."""
        for _ in range(math.ceil(_SILENT_S / _LOOK_S)):
            try:
                return ring.get(not self._stopped.is_set(), _LOOK_S)
            except queue.Empty:
                if self._stopped.is_set():
                    return None
        raise SensorError(
            f"{self.name} has given no sample for {_SILENT_S:g} s; is it still there?"
        )


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
