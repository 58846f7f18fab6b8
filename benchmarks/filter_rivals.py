"""What the filters of others need: a recording in their own form, and how each is run on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry


@dataclass
class Stream:
    """A recording, and what each rival holds it in."""

    geometry: GridGeometry
    chunks: list[EventChunk]

    @cached_property
    def events(self) -> int:
        return sum(map(len, self.chunks))

    @cached_property
    def columns(self) -> dict[str, Any]:
        parts = [vars_of(chunk) for chunk in self.chunks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @cached_property
    def eventcv(self) -> Any:
        return self._eventcv(self.columns)

    @cached_property
    def eventcv_chunks(self) -> list[Any]:
        return [self._eventcv(vars_of(chunk)) for chunk in self.chunks]

    def _eventcv(self, c: dict[str, Any]) -> Any:
        import eventcv

        table = np.stack([c["x"], c["y"], c["t_us"], c["on"]], axis=1).astype(np.int64)
        size = (self.geometry.width, self.geometry.height)
        return eventcv.from_numpy(table, sensor_size=size, time_unit="us")

    @cached_property
    def dv(self) -> list[Any]:
        import dv_processing

        stores = []
        for chunk in self.chunks:
            store = dv_processing.EventStore()
            columns = (chunk.t_us.tolist(), chunk.x.tolist(), chunk.y.tolist(), chunk.on.tolist())
            for event in zip(*columns, strict=True):
                store.push_back(*event)
            stores.append(store)
        return stores

    @cached_property
    def faery(self) -> list[Any]:
        import faery

        arrays = []
        for chunk in self.chunks:
            array = np.empty(len(chunk), faery.EVENTS_DTYPE)
            array["t"], array["x"], array["y"], array["on"] = chunk.t_us, chunk.x, chunk.y, chunk.on
            arrays.append(array)
        return arrays

    @cached_property
    def evlib(self) -> Any:
        import polars

        c = self.columns
        times = polars.Series(c["t_us"]).cast(polars.Duration("us"))
        return polars.DataFrame({"t": times, "x": c["x"], "y": c["y"], "polarity": c["on"] * 1})


Run = Callable[[Stream], int]


def vars_of(chunk: EventChunk) -> dict[str, Any]:
    return {name: getattr(chunk, name) for name in ("t_us", "x", "y", "on")}


def eventcv(apply: Callable[[Any], Any]) -> Run:
    """A filter without state, chunk by chunk."""
    return lambda stream: sum(len(apply(chunk)) for chunk in stream.eventcv_chunks)


def eventcv_whole(apply: Callable[[Any], Any]) -> Run:
    """A filter with state, which it does not keep between calls."""
    return lambda stream: len(apply(stream.eventcv))


def dv(make: Callable[[Any, Stream], Any]) -> Run:
    def run(stream: Stream) -> int:
        import dv_processing

        stores, made, kept = stream.dv, make(dv_processing, stream), 0
        for store in stores:
            made.accept(store)
            kept += made.generateEvents().size()
        return kept

    return run


def faery(apply: Callable[[Any], Any]) -> Run:
    def run(stream: Stream) -> int:
        import faery as package

        size, kept = (stream.geometry.width, stream.geometry.height), 0
        for array in stream.faery:
            for events in apply(package.events_stream_from_array(array, dimensions=size)):
                kept += len(events)
        return kept

    return run


def evlib(stream: Stream) -> int:
    from evlib.filtering import filter_noise

    return len(filter_noise(stream.evlib, refractory_period_us=1_000.0).collect())
