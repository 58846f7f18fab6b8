"""Events as sources, cut anywhere, and what of them every written format can hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

NAMES = ("t_us", "x", "y", "on", "channel")
CHANNELS = ("CSV", "NPZ", "HDF5")
# A format's longest side, and its longest time where it is short.
SIDES = {"N-MNIST": 240, "DAT": 1 << 14, "AEDAT4": (1 << 15) - 1, "EVT2": 2048, "EVT3": 2048}
LATEST_US = {"N-MNIST": (1 << 23) - 1, "ES": 20_000_000}
ANY_ORDER = ("CSV", "NPZ", "HDF5", "N-MNIST", "DAT")
# Before which no format but these can place an event.
BELOW_ZERO = ("CSV", "NPZ", "HDF5")


@dataclass(frozen=True)
class Given:
    """A source of given chunks that fails behind them where it is told to."""

    chunks: Sequence[EventChunk]
    geometry: Geometry
    error: SensorError | None = None
    name: str = "given"

    def __iter__(self) -> Iterator[EventChunk]:
        yield from self.chunks
        if self.error is not None:
            raise self.error


@dataclass
class Spied:
    """A source that notes whether anybody began to read it."""

    source: Given
    begun: int = 0
    name: str = "spied"
    geometry: Geometry = field(init=False)

    def __post_init__(self) -> None:
        self.geometry = self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        self.begun += 1
        return iter(self.source)


def grid_chunk(
    t_us: Sequence[int], x: Sequence[int], y: Sequence[int], on: Sequence[bool]
) -> EventChunk:
    return EventChunk(
        t_us=np.array(t_us, np.int64),
        t_end_us=t_us[-1] if t_us else 0,
        x=np.array(x, np.uint16),
        y=np.array(y, np.uint16),
        on=np.array(on, np.bool_),
    )


def channel_chunk(t_us: Sequence[int], channel: Sequence[int]) -> EventChunk:
    return EventChunk(
        t_us=np.array(t_us, np.int64),
        t_end_us=t_us[-1] if t_us else 0,
        channel=np.array(channel, np.uint16),
    )


def columns(chunk: EventChunk) -> dict[str, list[Any]]:
    found = {name: getattr(chunk, name) for name in NAMES}
    return {name: column.tolist() for name, column in found.items() if column is not None}


def cut(chunk: EventChunk, positions: Sequence[int]) -> list[EventChunk]:
    """Cut before each of the positions; empty chunks where two are equal."""
    edges = [0, *sorted(min(position, len(chunk)) for position in positions), len(chunk)]
    pieces = []
    for begin, end in pairwise(edges):
        part = {n: c[begin:end] for n in NAMES if (c := getattr(chunk, n)) is not None}
        t_end_us = int(part["t_us"][-1]) if end > begin else 0
        pieces.append(EventChunk(t_end_us=t_end_us, **part))
    return pieces


@st.composite
def recordings(draw: st.DrawFn, format_name: str) -> Given:
    """Draw events that a format can hold: none, one, equal times, gaps, the farthest addresses."""
    most = 60
    channels = format_name in CHANNELS and draw(st.booleans())
    longest = min(LATEST_US.get(format_name, 1 << 40), 1 << 40)
    start = draw(st.sampled_from([0, 1, 1 << 20, (1 << 24) - 3, 1 << 32, (1 << 35) + 7]))
    start = start if start <= longest // 2 else draw(st.integers(0, 7))
    gap = min(1 << 31, max(1, (longest - start) // most)) - 1
    steps = draw(
        st.lists(
            st.one_of(st.integers(0, 3), st.integers(0, min(gap, 5_000)), st.just(gap)),
            min_size=1 if format_name == "N-MNIST" else 0,
            max_size=most,
        )
    )
    t_us = (start + np.cumsum(np.array(steps, np.int64))).astype(np.int64)
    if format_name in ANY_ORDER and draw(st.booleans()):
        t_us = t_us[draw(st.permutations(range(len(t_us))))] if len(t_us) < 8 else t_us[::-1].copy()
        # DAT counts modulo 2^32 and tells steps of less than half of that.
        if format_name == "DAT" and len(t_us) and np.abs(np.diff(t_us)).max(initial=0) >= 1 << 31:
            t_us = np.sort(t_us)
    if format_name in BELOW_ZERO and draw(st.booleans()):
        t_us = t_us - (1 << 36)

    def addresses(side: int) -> list[int]:
        return draw(
            st.lists(
                st.one_of(st.just(side - 1), st.just(0), st.integers(0, side - 1)),
                min_size=len(t_us),
                max_size=len(t_us),
            )
        )

    if channels:
        row = draw(st.sampled_from([1, 64, 700, 65_536]))
        whole = channel_chunk(t_us.tolist(), addresses(row))
        geometry: Geometry = ChannelGeometry(row)
    else:
        side = SIDES.get(format_name, 65_535)
        width, height = draw(st.sampled_from([(side, side), (1, 1), (min(side, 640), 3)]))
        on = draw(st.lists(st.booleans(), min_size=len(t_us), max_size=len(t_us)))
        whole = grid_chunk(t_us.tolist(), addresses(width), addresses(height), on)
        geometry = GridGeometry(width, height)
    positions = draw(st.lists(st.integers(0, len(whole)), max_size=4))
    return Given(cut(whole, positions), geometry)
