"""Events as compiled code reads them: columns, packed words, or the bytes of a message.

Every function here is compiled for the kind that it is given, so kernels are written once.
"""

from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.extending import overload

from retempo.runtime.prefetch import prefetch
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.evt.packed import ON_AT, TIME_AT, X_MASK, Y_BITS, Y_MASK

# Columns `(t_us, x, y, on)`, columns of a channel sensor `(t_us, channel)`, packed events
# `(words, base_us)`, see `sensors.evt.packed`, or the bytes of a wire message, see
# `sensors.packet`: `(raw, count, t_start_us)` of a grid, with a None behind of a channel sensor.
Events = tuple[Any, ...]

Column = TypeVar("Column", Times, Addresses, Polarities)


def events_of(chunk: EventChunk) -> Events:
    """Return a chunk's events as the kernel takes them: read-only, so that it is made once."""
    packet = chunk.packet
    if packet is not None:
        events = packet.raw, packet.count, packet.t_start_us
        return events if packet.grid else (*events, None)
    if chunk.channel is not None:
        return _read_only(chunk.t_us), _read_only(chunk.channel)
    assert chunk.x is not None and chunk.y is not None and chunk.on is not None  # noqa: S101, PT018
    return _read_only(chunk.t_us), _read_only(chunk.x), _read_only(chunk.y), _read_only(chunk.on)


def _read_only(column: Column) -> Column:
    if column.flags.writeable:
        column = column.view()
        column.flags.writeable = False
    return column


def event_at(events: Any, i: Any) -> Any:
    """Return time, x, y and polarity of an event; compiled for each kind of `Events`."""
    raise NotImplementedError


@overload(event_at, strict=False)
def _event_at(events: Any, i: int) -> Any:  # pragma: no cover - compiled
    del i
    if isinstance(events[1], types.Integer) and len(events) == 3:
        return lambda events, i: (
            events[2] + _word(events[0], i),
            _word(events[0], np.uint64(events[1]) + i),
            _word(events[0], np.uint64(events[1] << 1) + i),
            events[0][np.uint64(6 * events[1]) + i],
        )
    if isinstance(events[1], types.Integer) and len(events) == 4:
        return lambda events, i: (
            events[2] + _word(events[0], i),
            _word(events[0], np.uint64(events[1]) + i),
            np.uint16(0),
            False,
        )
    if len(events) == 4:
        return lambda events, i: (events[0][i], events[1][i], events[2][i], events[3][i])
    if isinstance(events[1], types.Array):
        return lambda events, i: (events[0][i], events[1][i], np.uint16(0), False)
    return lambda events, i: (
        events[1] + (events[0][i] >> TIME_AT),
        np.uint16((events[0][i] >> Y_BITS) & X_MASK),
        np.uint16(events[0][i] & Y_MASK),
        (events[0][i] >> ON_AT) & 1,
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _word(raw: Any, k: Any) -> Any:  # pragma: no cover - compiled
    at = np.uint64(2) * k
    return np.uint16(raw[at] | np.uint16(raw[at + np.uint64(1)]) << 8)


def size_of(events: Any) -> Any:
    """Return how many events there are; compiled for each kind of `Events`."""
    raise NotImplementedError


@overload(size_of, strict=False)
def _size_of(events: Any) -> Any:  # pragma: no cover - compiled
    if len(events) > 2 and isinstance(events[1], types.Integer):
        return lambda events: events[1]
    return lambda events: len(events[0])


def ask_for(events: Any, i: Any) -> None:
    """Ask the memory for the 32 events from `i` on, of which there may be fewer.

    By itself it does not always see that columns are read on and on: on a Zen 5 it depends on where
    the code lies.
    """
    raise NotImplementedError


@overload(ask_for, strict=False)
def _ask_for(events: Any, i: int) -> Any:  # pragma: no cover - compiled
    del i
    if isinstance(events[1], types.Integer):
        if len(events) == 2:
            return lambda events, i: _ask_for_words(events[0], i)
        return lambda events, i: _ask_for_bytes(events[0], np.uint64(events[1]), i)
    if len(events) == 2:
        return lambda events, i: (_ask_for_words(events[0], i), prefetch(events[1], i))
    return lambda events, i: (
        _ask_for_words(events[0], i),
        prefetch(events[1], i),
        prefetch(events[2], i),
        prefetch(events[3], i),
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _ask_for_words(words: Any, i: Any) -> None:  # pragma: no cover - compiled
    for line in range(4):
        prefetch(words, i + np.uint64(8 * line))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _ask_for_bytes(raw: Any, count: Any, i: Any) -> None:  # pragma: no cover - compiled
    prefetch(raw, np.uint64(2) * i)
    prefetch(raw, np.uint64(2) * (count + i))
    prefetch(raw, np.uint64(4) * count + np.uint64(2) * i)
    prefetch(raw, np.uint64(6) * count + i)
