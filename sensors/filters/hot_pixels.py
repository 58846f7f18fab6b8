"""Hot pixels: what fires all the time is switched off, by a given list or as learned.

Learned: event time is cut into spans from the first event on. At the end of each span the hot ones
among its events (`hot_detection`) become the mask of the time that follows, until the next span
ends; all events are counted, removed or not. So the first span passes whole, nothing waits, and
memory is that of the sensor. A span without events leaves the mask as it is. An event that goes
back by less than a span counts to the span that is open; one that goes back further (the clock was
set back) opens a span there, and the counts of the one it leaves are dropped.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.errors import FilterError, UnitError
from retempo.sensors.events import Addresses, EventChunk, Times
from retempo.sensors.filters.hot_detection import (
    Mask,
    find_hot_pixels,
    hot_pixels,
    shape_of,
)
from retempo.sensors.filters.kind import FilterKind, span_of
from retempo.sensors.filters.pixel_list import Pixels, read_pixels
from retempo.sensors.filters.select import Keep, flat_addresses, pixels_of, removing
from retempo.sensors.filters.stage import Filter
from retempo.sensors.geometry import Geometry
from retempo.sensors.units import parse_duration_us

__all__ = ["KIND", "HotPixels", "HotState", "find_hot_pixels", "hot_pixels"]

_MOST = np.uint32(0xFFFF_FFFF)


class HotState(NamedTuple):
    """What is switched off, and the span that is being learned from.

    Shapes: `mask` `(height, width)` or `(channels,)`, True where switched off; `counts`
    `(places,)`; `begins_us` is None before the first event.
    """

    geometry: Geometry
    mask: Mask
    counts: NDArray[np.uint32]
    begins_us: int | None = None


@dataclass(frozen=True, slots=True)
class HotPixels:
    """Without the hot pixels: those of `pixels`, `(x, y)` or `(channel,)`, or learned if None."""

    pixels: Pixels | None = None
    learn_us: int = 1_000_000

    def __post_init__(self) -> None:
        if self.learn_us < 1:
            raise FilterError(f"a span to learn in is 1 us or more, got {self.learn_us} us")

    @property
    def name(self) -> str:
        """As configuration and counts have it."""
        return "hot-pixels"

    def geometry_after(self, geometry: Geometry) -> Geometry:
        """The same sensor.

        Raises:
            FilterError: a pixel of the list is not one of it.
        """
        shape = shape_of(geometry)
        for pixel in self.pixels or ():
            place = pixel[::-1]
            if len(place) != len(shape) or any(
                not 0 <= p < s for p, s in zip(place, shape, strict=True)
            ):
                form = "x y" if len(shape) == 2 else "a channel"
                raise FilterError(
                    f"the filter hot-pixels lists {' '.join(map(str, pixel))}, which is no address "
                    f"of a sensor of {geometry}; write {form} for each, before any filter that "
                    "moves addresses"
                )
        return geometry

    def start(self, geometry: Geometry) -> HotState:
        """The mask of the list, or of nothing."""
        mask = np.zeros(shape_of(geometry), np.bool_)
        for pixel in self.pixels or ():
            mask[pixel[::-1]] = True
        places = pixels_of(geometry) if self.pixels is None else 0
        return HotState(geometry, mask, np.zeros(places, np.uint32))

    def apply(self, state: HotState, chunk: EventChunk) -> tuple[HotState, EventChunk]:
        """The next chunk, without the pixels that are switched off."""
        x, y, stride = flat_addresses(chunk, state.geometry)
        keep = np.empty(len(chunk), np.bool_)
        if self.pixels is not None:
            unmasked(x, y, stride, state.mask.reshape(-1), keep)
            return state, removing(chunk, keep, self.name)
        at = 0
        while at < len(chunk):
            state = self._at(state, int(chunk.t_us[at]))
            assert state.begins_us is not None  # noqa: S101  (just set)
            at = learn(
                chunk.t_us,
                x,
                y,
                stride,
                at,
                *_reach(state.begins_us, self.learn_us),
                state.mask.reshape(-1),
                state.counts,
                keep,
            )
        return state, removing(chunk, keep, self.name)

    def _at(self, state: HotState, t_us: int) -> HotState:
        """The state in whose span an event falls; a span that it leaves behind is learned from."""
        if state.begins_us is None:
            return state._replace(begins_us=t_us)
        if t_us <= state.begins_us - self.learn_us:
            state.counts[:] = 0
            return state._replace(begins_us=t_us)
        spans = (t_us - state.begins_us) // self.learn_us
        if spans < 1:
            return state
        state.mask[...] = hot_pixels(state.counts.reshape(state.mask.shape))
        state.counts[:] = 0
        return state._replace(begins_us=state.begins_us + spans * self.learn_us)


def _reach(begins_us: int, learn_us: int) -> tuple[int, int]:
    """The first and last time that belong to a span, late events among them, within 64 bits."""
    limits = np.iinfo(np.int64)
    return (
        max(limits.min, begins_us - learn_us + 1),
        min(limits.max, begins_us + learn_us - 1),
    )


@njit(cache=True, nogil=True)
def unmasked(
    x: Addresses, y: Addresses, stride: int, mask: Keep, keep: Keep
) -> None:  # pragma: no cover - compiled
    """Write to `keep` which events lie where the mask is False; it is `(places,)`."""
    for i in range(len(x)):
        keep[i] = not mask[np.uint64(y[i]) * np.uint64(stride) + np.uint64(x[i])]


@njit(cache=True, nogil=True)
def learn(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    stride: int,
    begin: int,
    first_us: int,
    last_us: int,
    mask: Keep,
    counts: NDArray[np.uint32],
    keep: Keep,
) -> int:  # pragma: no cover - compiled
    """As `unmasked` from the event `begin` on, counting; return the first event beyond the span.

    Shapes: event columns and `keep` `(events,)`, `mask` and `counts` `(places,)`.
    """
    for i in range(begin, len(t_us)):
        if t_us[i] < first_us or t_us[i] > last_us:
            return i
        place = np.uint64(y[i]) * np.uint64(stride) + np.uint64(x[i])
        keep[i] = not mask[place]
        counts[place] += np.uint32(counts[place] < _MOST)
    return len(t_us)


def unmasked_numpy(x: Addresses, y: Addresses, stride: int, mask: Keep, keep: Keep) -> None:
    """As `unmasked`, in plain NumPy: its twin in the tests."""
    keep[:] = ~mask[y.astype(np.int64) * stride + x]


def learn_numpy(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    stride: int,
    begin: int,
    first_us: int,
    last_us: int,
    mask: Keep,
    counts: NDArray[np.uint32],
    keep: Keep,
) -> int:
    """As `learn`, in plain NumPy: its twin in the tests."""
    beyond = np.flatnonzero((t_us < first_us) | (t_us > last_us))
    end = int(min(beyond[beyond >= begin], default=len(t_us)))
    part = slice(begin, end)
    unmasked_numpy(x[part], y[part], stride, mask, keep[part])
    fired = np.bincount(y[part].astype(np.int64) * stride + x[part], minlength=len(counts))
    counts[:] = np.minimum(counts + fired, _MOST)
    return end


_Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class HotPixelsSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="hot-pixels",
):
    """Learned in spans of `learn`, 1s if nothing is given; or a `file`; or `pixels`, `[x, y]`."""

    learn: str | None = None
    file: str | None = None
    pixels: list[Annotated[list[_Address], msgspec.Meta(min_length=1, max_length=2)]] | None = None

    def build(self, folder: Path) -> Filter:
        """The filter."""
        given = [each for each in (self.learn, self.file, self.pixels) if each is not None]
        if len(given) > 1:
            raise FilterError("the filter hot-pixels takes learn, file or pixels, one of them")
        if self.file is not None:
            return HotPixels(read_pixels(folder / self.file))
        if self.pixels is not None:
            return HotPixels(tuple(tuple(pixel) for pixel in self.pixels))
        return HotPixels(learn_us=span_of(self.learn or "1s"))


def _parse(argument: str) -> HotPixelsSettings:
    if not argument:
        return HotPixelsSettings()
    try:
        parse_duration_us(argument)
    except UnitError:
        return HotPixelsSettings(file=argument)
    return HotPixelsSettings(learn=argument)


KIND = FilterKind("hot-pixels", "hot-pixels=1s", HotPixelsSettings, _parse)
