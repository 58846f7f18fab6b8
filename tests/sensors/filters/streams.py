"""Streams for tests of filters: any order of times, any cut, events beyond the sensor."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from retempo.sensors.collect import read_all
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Filter, Filtered
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

GRID = GridGeometry(13, 9)
CHANNELS = ChannelGeometry(11)
LIMITS = np.iinfo(np.int64)

# Steps from one event to the next: mostly forward by little, at times back, or by a jump.
_steps = st.one_of(st.integers(0, 400), st.integers(-600, 600), st.integers(-(10**7), 10**7))
_wild = st.integers(int(LIMITS.min), int(LIMITS.max))


@st.composite
def times(draw: st.DrawFn, wild: bool = True) -> np.ndarray[Any, Any]:
    """Draw times in any order; `wild` ones from all of 64 bits too."""
    if wild and draw(st.integers(0, 4)) == 0:
        return np.array(draw(st.lists(_wild, max_size=60)), np.int64)
    steps = draw(st.lists(_steps, max_size=120))
    return np.cumsum(np.array([draw(st.integers(-5_000, 5_000)), *steps], np.int64))


@st.composite
def streams(draw: st.DrawFn, geometry: Geometry = GRID, beyond: int = 0) -> EventChunk:
    """Draw a stream as one chunk; addresses reach `beyond` the sensor."""
    t_us = draw(times())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Few addresses, so that they meet; now and then the whole sensor.
    share = draw(st.sampled_from([0.2, 1.0]))
    return chunk_of(t_us, geometry, rng, share, beyond)


def chunk_of(
    t_us: np.ndarray[Any, Any],
    geometry: Geometry,
    rng: np.random.Generator,
    share: float = 1.0,
    beyond: int = 0,
) -> EventChunk:
    """Events of given times at random addresses."""

    def addresses(side: int) -> np.ndarray[Any, Any]:
        return rng.integers(0, max(1, int(side * share)) + beyond, len(t_us)).astype(np.uint16)

    common: dict[str, Any] = {
        "t_us": t_us,
        "t_end_us": int(t_us.max()) if len(t_us) else 0,
        "stream": "cam",
        "lost": 3,
        "problems": {"damaged": 2},
        "removed": {"earlier": 5},
    }
    if isinstance(geometry, GridGeometry):
        x, y = addresses(geometry.width), addresses(geometry.height)
        return EventChunk(**common, x=x, y=y, on=rng.random(len(t_us)) < 0.5)
    return EventChunk(**common, channel=addresses(geometry.channels))


def columns(chunk: EventChunk) -> dict[str, list[Any]]:
    """The columns of a chunk as lists."""
    names = ("t_us", "x", "y", "on", "channel")
    found = {name: getattr(chunk, name) for name in names}
    return {name: column.tolist() for name, column in found.items() if column is not None}


def cut(chunk: EventChunk, positions: list[int]) -> list[EventChunk]:
    """Cut a chunk before each position; the first piece carries its counts."""
    edges = [0, *sorted(min(position, len(chunk)) for position in positions), len(chunk)]
    pieces = []
    for sequence, (begin, end) in enumerate(pairwise(edges)):
        part = {
            name: getattr(chunk, name)[begin:end]
            for name in ("t_us", "x", "y", "on", "channel")
            if getattr(chunk, name) is not None
        }
        counts: dict[str, Any] = {"lost": 0, "problems": {}, "removed": {}} if sequence else {}
        piece: EventChunk = replace(chunk, **part, **counts)
        pieces.append(replace(piece, sequence=sequence, t_end_us=100 + sequence))
    return pieces


class Given:
    """A source of given chunks."""

    name = "cam"

    def __init__(self, geometry: Geometry, chunks: list[EventChunk]) -> None:
        self.geometry = geometry
        self.chunks = chunks

    def __iter__(self) -> Any:
        return iter(self.chunks)


def filtered(chunks: list[EventChunk], geometry: Geometry, *filters: Filter) -> EventChunk:
    """All that leaves filters, as one chunk."""
    return read_all(Filtered(Given(geometry, chunks), filters))


def grid_chunk(*events: tuple[int, int, int], on: bool = True) -> EventChunk:
    """Events `(t_us, x, y)` of one polarity."""
    t_us, x, y = (np.array([event[k] for event in events]) for k in range(3))
    return EventChunk(
        t_us.astype(np.int64),
        int(t_us.max()),
        x=x.astype(np.uint16),
        y=y.astype(np.uint16),
        on=np.full(len(events), on),
    )
