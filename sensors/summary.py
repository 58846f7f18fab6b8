"""What a source holds, in one pass: counts, times, rates and a digest of each column."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk, Polarities, Source
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.problems import total


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """The facts of a source that was read to its end.

    `t_first_us` and `t_last_us` are the earliest and latest event's time, None without events.
    `on_share` is the share of on events, None without events or polarities. `outside` counts
    events beyond the geometry, `backward_steps` those that lie before the event ahead of them,
    `problems` by kind what was found wrong while the source was decoded.
    `sha3_224` maps each column to the hexadecimal SHA3-224 of its values in order (`t` as uint64,
    `x`, `y`, `channel` as uint16, `on` as one byte, all little-endian), as the faery project
    publishes them for its sample files.
    """

    name: str
    geometry: Geometry
    chunks: int
    events: int
    lost: int
    t_first_us: int | None
    t_last_us: int | None
    on_share: float | None
    outside: int
    backward_steps: int
    problems: dict[str, int]
    sha3_224: dict[str, str]

    @property
    def duration_us(self) -> int:
        """From the first event to the last; 0 without events."""
        if self.t_first_us is None or self.t_last_us is None:
            return 0
        return self.t_last_us - self.t_first_us

    @property
    def rate_hz(self) -> float:
        """Events a second between the first event and the last; 0 where that is no time at all."""
        return self.events / (self.duration_us * 1e-6) if self.duration_us else 0.0


def outside(chunk: EventChunk, geometry: Geometry) -> Polarities:
    """Which events of a chunk the geometry has no address for; shape `(events,)`.

    A chunk of the other kind (channels against a grid) lies outside as a whole.
    """
    if isinstance(geometry, GridGeometry):
        if chunk.x is None or chunk.y is None:
            return np.ones(len(chunk), np.bool_)
        return (chunk.x >= geometry.width) | (chunk.y >= geometry.height)
    if chunk.channel is None:
        return np.ones(len(chunk), np.bool_)
    return chunk.channel >= geometry.channels


def summarise(source: Source) -> RecordingSummary:
    """Read a source to its end and sum it up, chunk by chunk in constant memory.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    grid = isinstance(source.geometry, GridGeometry)
    names = ("t", "x", "y", "on") if grid else ("t", "channel")
    digests = {name: hashlib.sha3_224() for name in names}
    chunks = events = lost = on = beyond = backward = 0
    first_us: int | None = None
    last_us: int | None = None
    before = np.zeros(0, np.int64)
    problems: dict[str, int] = {}
    for chunk in source:
        chunks += 1
        problems = total([problems, chunk.problems])
        lost += chunk.lost
        for name, column in _columns(chunk):
            digests[name].update(column.tobytes())
        if len(chunk) == 0:
            continue
        events += len(chunk)
        on += 0 if chunk.on is None else int(np.count_nonzero(chunk.on))
        beyond += int(np.count_nonzero(outside(chunk, source.geometry)))
        times = np.concatenate([before, chunk.t_us])
        backward += int(np.count_nonzero(times[1:] < times[:-1]))
        before = times[-1:]
        first_us = min(int(chunk.t_us.min()), int(chunk.t_us[0]) if first_us is None else first_us)
        last_us = max(int(chunk.t_us.max()), int(chunk.t_us[0]) if last_us is None else last_us)
    return RecordingSummary(
        name=source.name,
        geometry=source.geometry,
        chunks=chunks,
        events=events,
        lost=lost,
        t_first_us=first_us,
        t_last_us=last_us,
        on_share=on / events if grid and events else None,
        outside=beyond,
        backward_steps=backward,
        problems=problems,
        sha3_224={name: digest.hexdigest() for name, digest in digests.items()},
    )


def _columns(chunk: EventChunk) -> Iterator[tuple[str, NDArray[np.generic]]]:
    yield "t", chunk.t_us.astype("<u8")
    if chunk.x is not None and chunk.y is not None and chunk.on is not None:
        yield "x", chunk.x.astype("<u2")
        yield "y", chunk.y.astype("<u2")
        yield "on", chunk.on
    if chunk.channel is not None:
        yield "channel", chunk.channel.astype("<u2")
