"""What a source holds, in one pass: counts, times, rates, hot addresses, digests of the columns."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.addresses import (
    Counts,
    Hot,
    count_addresses,
    hot_addresses,
    new_counts,
)
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.outside import outside
from retempo.sensors.problems import total
from retempo.sensors.timeline import Timeline, coarsened, count_times, new_timeline

_HOTTEST = 10
_PEAK_US = 1_000


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """The facts of a source that was read to its end.

    `t_first_us` and `t_last_us` are the earliest and latest event's time, None without events.
    `on_share` is the share of on events, None without events or polarities. `backward_steps` counts
    the events that lie before the event ahead of them, `problems` by kind what was found wrong
    while the source was decoded, `removed` by filter what was taken out. `hot` says how many
    addresses are hot (see `filters.hot_detection`), None for a sensor of too many to count, and
    `hottest` names the worst. `timeline` counts off and on events over time (all as off without
    polarities), `addresses` those of each address, `(height, width)` or `(1, channels)`.
    `sha3_224` maps each column to the hexadecimal SHA3-224 of its values in order (`t` as uint64,
    `x`, `y`, `channel` as uint16, `on` as one byte, all little-endian), as the faery project
    publishes them for its sample files; it is empty where no digests were asked for.
    """

    name: str
    geometry: Geometry
    chunks: int
    events: int
    lost: int
    t_first_us: int | None
    t_last_us: int | None
    on_share: float | None
    backward_steps: int
    problems: Mapping[str, int]
    removed: Mapping[str, int]
    hot: int | None
    hottest: tuple[Hot, ...]
    sha3_224: Mapping[str, str]
    timeline: Timeline = field(compare=False, repr=False)
    addresses: Counts | None = field(compare=False, repr=False)

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

    @property
    def peak(self) -> tuple[int, int]:
        """The most events in a bin of time, and its width in us: 1 ms, or more in a long source."""
        coarse = coarsened(self.timeline, _PEAK_US)
        return int(coarse.filled.sum(axis=1).max(initial=0)), coarse.bin_us

    @property
    def outside(self) -> int:
        """Events beyond the geometry, one kind of the problems."""
        return self.problems.get("outside", 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """What is carried from chunk to chunk."""

    timeline: Timeline
    addresses: Counts | None
    chunks: int = 0
    events: int = 0
    lost: int = 0
    on: int = 0
    backward: int = 0
    first_us: int | None = None
    last_us: int | None = None
    before_us: int | None = None


def summarise(source: Source, *, digests: bool = True) -> RecordingSummary:
    """Read a source to its end and sum it up, chunk by chunk in bounded memory.

    How the source is cut into chunks changes `chunks` alone. Digests cost several times as much
    as all else together; without them this keeps up with the decoders.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    geometry = source.geometry
    grid = isinstance(geometry, GridGeometry)
    names = ("t", "x", "y", "on") if grid else ("t", "channel")
    hashes = {name: hashlib.sha3_224() for name in names if digests}
    tally = _Tally(new_timeline(2), new_counts(geometry))
    problems: dict[str, int] = {}
    removed: dict[str, int] = {}
    for chunk in source:
        for name, column in _columns(chunk) if digests else ():
            hashes[name].update(column.tobytes())
        beyond = _count_outside(chunk, geometry)
        problems = total([problems, chunk.problems, {"outside": beyond} if beyond else {}])
        removed = total([removed, chunk.removed])
        tally = _tallied(tally, chunk, geometry, beyond)
    counts = tally.addresses
    hot, worst = (None, ()) if counts is None else hot_addresses(counts, geometry, _HOTTEST)
    return RecordingSummary(
        name=source.name,
        geometry=geometry,
        chunks=tally.chunks,
        events=tally.events,
        lost=tally.lost,
        t_first_us=tally.first_us,
        t_last_us=tally.last_us,
        on_share=tally.on / tally.events if grid and tally.events else None,
        backward_steps=tally.backward,
        problems=problems,
        removed=removed,
        hot=hot,
        hottest=worst,
        sha3_224={name: each.hexdigest() for name, each in hashes.items()},
        timeline=tally.timeline,
        addresses=counts,
    )


def _tallied(tally: _Tally, chunk: EventChunk, geometry: Geometry, beyond: int) -> _Tally:
    seen = replace(tally, chunks=tally.chunks + 1, lost=tally.lost + chunk.lost)
    if len(chunk) == 0:
        return seen
    t_us = chunk.t_us
    if seen.addresses is not None:
        count_addresses(seen.addresses, _within(chunk, geometry) if beyond else chunk)
    first_us, last_us = int(t_us.min()), int(t_us.max())
    joint = seen.before_us is not None and int(t_us[0]) < seen.before_us
    row = np.zeros(len(chunk), np.uint8) if chunk.on is None else chunk.on.view(np.uint8)
    return replace(
        seen,
        timeline=count_times(seen.timeline, t_us, row),
        events=seen.events + len(chunk),
        on=seen.on + (0 if chunk.on is None else int(np.count_nonzero(chunk.on))),
        backward=seen.backward + int(np.count_nonzero(t_us[1:] < t_us[:-1])) + joint,
        first_us=first_us if seen.first_us is None else min(first_us, seen.first_us),
        last_us=last_us if seen.last_us is None else max(last_us, seen.last_us),
        before_us=int(t_us[-1]),
    )


def _count_outside(chunk: EventChunk, geometry: Geometry) -> int:
    """How many events lie outside; a recording has left them out, any other source may not have."""
    if len(chunk) == 0:
        return 0
    inside = False
    if isinstance(geometry, GridGeometry) and chunk.x is not None and chunk.y is not None:
        inside = bool(chunk.x.max() < geometry.width and chunk.y.max() < geometry.height)
    return 0 if inside else int(np.count_nonzero(outside(chunk, geometry)))


def _within(chunk: EventChunk, geometry: Geometry) -> EventChunk:
    inside = ~outside(chunk, geometry)
    return EventChunk(
        t_us=chunk.t_us[inside],
        t_end_us=chunk.t_end_us,
        x=None if chunk.x is None else chunk.x[inside],
        y=None if chunk.y is None else chunk.y[inside],
        on=None if chunk.on is None else chunk.on[inside],
        channel=None if chunk.channel is None else chunk.channel[inside],
    )


def _columns(chunk: EventChunk) -> Iterator[tuple[str, NDArray[np.generic]]]:
    yield "t", chunk.t_us.astype("<u8")
    if chunk.x is not None and chunk.y is not None and chunk.on is not None:
        yield "x", chunk.x.astype("<u2")
        yield "y", chunk.y.astype("<u2")
        yield "on", chunk.on
    if chunk.channel is not None:
        yield "channel", chunk.channel.astype("<u2")
