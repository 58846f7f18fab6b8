"""Refractory period: a pixel or channel that has fired is dead for a while.

    remove where |t - s| < span,    s the time of the last event kept at the same place

A pixel's two polarities share one dead time, as in the sensor's own circuit. The distance counts
in both directions: an event that comes late by less than the span is removed too, and one that
lies further back (the clock was set back) begins anew there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numba import njit

from retempo.sensors.errors import FilterError
from retempo.sensors.events import Addresses, EventChunk, Times
from retempo.sensors.filters.kind import FilterKind, span_of
from retempo.sensors.filters.select import (
    LATEST,
    NEVER,
    Keep,
    flat_addresses,
    pixels_of,
    removing,
)
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry


class RefractoryState(NamedTuple):
    """The time of the last event kept at each place, `NEVER` before it; shape `(places,)`."""

    geometry: Geometry
    last_us: Times


@dataclass(frozen=True, slots=True)
class Refractory:
    """At most one event in `span_us` from each pixel or channel."""

    span_us: int

    def __post_init__(self) -> None:
        if self.span_us < 1:
            raise FilterError(f"a refractory period is 1 us or more, got {self.span_us} us")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "refractory"

    def geometry_after(self, geometry: Geometry) -> Geometry:
        """The same sensor, whatever it is."""
        return geometry

    def start(self, geometry: Geometry) -> RefractoryState:
        """Nobody has fired."""
        return RefractoryState(geometry, np.full(pixels_of(geometry), NEVER, np.int64))

    def apply(
        self, state: RefractoryState, chunk: EventChunk
    ) -> tuple[RefractoryState, EventChunk]:
        """The next chunk, without the events of the dead times."""
        x, y, stride = flat_addresses(chunk, state.geometry)
        keep = np.empty(len(chunk), np.bool_)
        rested(chunk.t_us, x, y, stride, self.span_us, state.last_us, keep)
        return state, removing(chunk, keep, self.name)


@njit(cache=True, nogil=True)
def rested(
    t_us: Times, x: Addresses, y: Addresses, stride: int, span_us: int, last_us: Times, keep: Keep
) -> None:  # pragma: no cover - compiled
    """Write to `keep` which events fall into no dead time, and to `last_us` when they fired.

    Shapes: event columns and `keep` `(events,)`, `last_us` `(places,)`.
    """
    dead_us = span_us - 1
    for i in range(len(t_us)):
        t = t_us[i]
        place = np.uint64(y[i]) * np.uint64(stride) + np.uint64(x[i])
        # Neither end may leave 64 bits, and none may reach NEVER.
        low = t - dead_us if t > NEVER + dead_us else NEVER + 1
        high = t + dead_us if t < LATEST - dead_us else LATEST
        last = last_us[place]
        fires = (last < low) | (last > high)
        keep[i] = fires
        last_us[place] = t if fires else last


def rested_numpy(
    t_us: Times, x: Addresses, y: Addresses, stride: int, span_us: int, last_us: Times, keep: Keep
) -> None:
    """As `rested`, in plain Python integers: its twin in the tests."""
    places = y.astype(np.int64) * stride + x
    for i, (t, place) in enumerate(zip(t_us.tolist(), places.tolist(), strict=True)):
        last = int(last_us[place])
        keep[i] = last == NEVER or abs(t - last) >= span_us
        if keep[i]:
            last_us[place] = t


class RefractorySettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="refractory",
):
    """`span` is a duration."""

    span: str

    def build(self, folder: Path) -> Filter:
        """The filter."""
        del folder
        return Refractory(span_of(self.span))


def _parse(argument: str) -> RefractorySettings:
    return RefractorySettings(span=argument)


KIND = FilterKind("refractory", "refractory=1ms", RefractorySettings, _parse)
