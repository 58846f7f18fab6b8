"""What a filter is, and a source seen through several of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import Geometry


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
        """The next chunk, filtered."""
        ...


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
    states = []
    for each in filters:
        states.append(each.start(geometry))
        geometry = each.geometry_after(geometry)
    for chunk in chunks:
        passing = chunk
        for place, each in enumerate(filters):
            states[place], passing = each.apply(states[place], passing)
        yield passing
