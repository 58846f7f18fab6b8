"""What a picture of a whole recording needs, gathered in one pass of bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.summary import RecordingSummary, summarise
from retempo.sensors.timeline import Timeline, count_times, new_timeline

# Half of them are in use at the least, which is as fine as the picture is wide.
_BINS = 1_024
_PARTS = 360
_HELD = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A recording as a whole.

    `profiles` counts events over time and along each axis: `x` and `y`, or `channel`. `dots` are
    the times and channels of all events of a channel sensor, None where they are too many for dots.

    Shapes: a profile's rows are at most 360 equal parts of the axis, in order; `dots` both
    `(events,)`.
    """

    summary: RecordingSummary
    profiles: dict[str, Timeline]
    dots: tuple[NDArray[np.int64], NDArray[np.uint16]] | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A source whose chunks are shown to `see` as they pass."""

    source: Source
    see: Callable[[EventChunk], None]

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        for chunk in self.source:
            self.see(chunk)
            yield chunk


def survey(source: Source) -> Survey:
    """Read a source to its end.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    geometry = source.geometry
    grid = isinstance(geometry, GridGeometry)
    sides = axes_of(geometry)
    parts = {name: min(side, _PARTS) for name, side in sides.items()}
    # A part of an address, looked up: the sides are at most 65,536 long.
    part_of = {
        name: (np.arange(side) * parts[name] // side).astype(np.uint16)
        for name, side in sides.items()
    }
    profiles = {name: new_timeline(parts[name], _BINS) for name in sides}
    held: list[EventChunk] = []
    events = 0

    def see(chunk: EventChunk) -> None:
        nonlocal events
        for name in sides:
            row = part_of[name][getattr(chunk, name)]
            profiles[name] = count_times(profiles[name], chunk.t_us, row)
        events += len(chunk)
        if not grid and events <= _HELD:
            held.append(chunk)

    summary = summarise(Watched(source, see), digests=False)
    dots = None
    if not grid and 0 < events <= _HELD:
        channels = [chunk.channel for chunk in held if chunk.channel is not None]
        dots = (np.concatenate([chunk.t_us for chunk in held]), np.concatenate(channels))
    return Survey(summary, profiles, dots)


def axes_of(geometry: Geometry) -> dict[str, int]:
    """Return the length of each of a sensor's axes by the name of its column."""
    if isinstance(geometry, GridGeometry):
        return {"x": geometry.width, "y": geometry.height}
    return {"channel": geometry.channels}


def accumulate(
    source: Source, from_us: int, to_us: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often each pixel of a grid fired off and on in `[from_us, to_us)`.

    Shapes: both `(height, width)`. A channel sensor has no such image.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    geometry = source.geometry
    assert isinstance(geometry, GridGeometry)  # noqa: S101  (the caller has looked)
    both = np.zeros((2, geometry.height, geometry.width), np.int64)
    for chunk in source:
        if chunk.x is None or chunk.y is None or chunk.on is None:
            continue
        chosen = (chunk.t_us >= from_us) & (chunk.t_us < to_us)
        if chosen.any():
            where = (chunk.on[chosen].view(np.uint8), chunk.y[chosen], chunk.x[chosen])
            np.add.at(both, where, 1)
        # No later chunk holds an event before the watermark.
        if chunk.t_end_us >= to_us:
            break
    return both[0], both[1]
