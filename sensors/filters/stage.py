"""What a filter is, and a source seen through several of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.filters.select import all_inside, select
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.sensors.outside import outside
from retempo.sensors.problems import total

_WIDEST_TRIED = 4_096


class Filter(Protocol):
    """A step on event chunks: `(state, chunk) -> (state, chunk)`, however the stream is cut.

    A filter is plain data (its settings). It keeps the chunk's stream, sequence, watermark, losses
    and problems, and adds to `removed` under its `name` how many events it took out on purpose. A
    state is used once: `apply` may write to its arrays and returns what is carried on.
    """

    @property
    def name(self) -> str:
        """The filter's name, as configuration and counts have it."""
        ...

    def geometry_after(self, geometry: Geometry) -> Geometry:
        """The addresses that leave the filter; a FilterError where it cannot work on these."""
        ...

    def start(self, geometry: Geometry) -> Any:
        """The state before the first chunk of a sensor of this geometry."""
        ...

    def apply(self, state: Any, chunk: EventChunk) -> tuple[Any, EventChunk]:
        """The next chunk, filtered; its events lie within the geometry of `start`."""
        ...


@dataclass(slots=True)
class Chain:
    """Filters in their order on one stream, with the state of each.

    `states` may be looked at between chunks: `filters.hot_pixels.HotPixels` has its mask there.
    """

    filters: tuple[Filter, ...]
    geometry: Geometry
    states: list[Any] = field(default_factory=list)

    @classmethod
    def start(cls, filters: Sequence[Filter], geometry: Geometry) -> Self:
        """Begin a stream of a sensor.

        Raises:
            FilterError: a filter cannot work on what the one before it leaves.
        """
        chain = cls(tuple(filters), geometry)
        for each in filters:
            after = each.geometry_after(geometry)
            chain.states.append(each.start(geometry))
            geometry = after
        return chain

    def apply(self, chunk: EventChunk) -> EventChunk:
        """Return the next chunk as it leaves the last filter.

        An event outside the sensor is dropped before the first and counted under the problem
        `outside`: a filter may map an address beyond the edge to one within.
        """
        if not self.filters:
            return chunk
        chunk = _inside(chunk, self.geometry)
        for place, each in enumerate(self.filters):
            self.states[place], chunk = each.apply(self.states[place], chunk)
        return chunk


@dataclass(frozen=True, slots=True)
class Filtered:
    """A source whose chunks pass through filters, in their order; a source itself."""

    source: Source
    filters: tuple[Filter, ...]

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses that leave the last filter."""
        return geometry_after(self.filters, self.source.geometry)

    def __iter__(self) -> Iterator[EventChunk]:
        return apply_filters(self.filters, self.source.geometry, self.source)


def geometry_after(filters: Sequence[Filter], geometry: Geometry) -> Geometry:
    """Return the addresses that leave the last filter.

    Raises:
        FilterError: a filter cannot work on what the one before it leaves.
    """
    for each in filters:
        geometry = each.geometry_after(geometry)
    return geometry


def apply_filters(
    filters: Sequence[Filter], geometry: Geometry, chunks: Iterable[EventChunk]
) -> Iterator[EventChunk]:
    """Yield a stream's chunks as they leave the last filter, also those that are left empty."""
    chain = Chain.start(filters, geometry)
    for chunk in chunks:
        yield chain.apply(chunk)


def compile_filters(filters: Sequence[Filter]) -> None:
    """Run each filter on an event of some sensor that it takes: its kernels are compiled then."""
    for each in filters:
        side = 1
        while side <= _WIDEST_TRIED:
            geometries = (GridGeometry(side, side), ChannelGeometry(side))
            taken = [geometry for geometry in geometries if _takes(each, geometry)]
            for geometry in taken:
                chunk = _one_event(geometry)
                each.apply(each.start(geometry), chunk)
                select(chunk, np.zeros(1, np.bool_))
            side = _WIDEST_TRIED + 1 if taken else side * 2


def _one_event(geometry: Geometry) -> EventChunk:
    t_us, address = np.zeros(1, np.int64), np.zeros(1, np.uint16)
    if isinstance(geometry, GridGeometry):
        return EventChunk(t_us, 0, x=address, y=address, on=np.ones(1, np.bool_))
    return EventChunk(t_us, 0, channel=address)


def _takes(each: Filter, geometry: Geometry) -> bool:
    try:
        each.geometry_after(geometry)
    except FilterError:
        return False
    return True


def _inside(chunk: EventChunk, geometry: Geometry) -> EventChunk:
    if all_inside(chunk, geometry):
        return chunk
    beyond = outside(chunk, geometry)
    counts = {"outside": int(np.count_nonzero(beyond))}
    return replace(select(chunk, ~beyond), problems=total([chunk.problems, counts]))
