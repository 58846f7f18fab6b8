"""Decoded columns cut into chunks of a bounded size, with their watermarks."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from retempo.sensors.events import EventChunk, Times
from retempo.sensors.files.format import AnyColumns, Columns

C = TypeVar("C", bound=AnyColumns)


def watermarks(t_us: Times, chunk_events: int) -> Times:
    """The largest honest watermark of each chunk of a file that is known to its end.

    `w[k] = min(max(t of chunks <= k), min(t of chunks > k))`: the last event's time where times
    never go back, and otherwise early enough that no later chunk holds an event before it.

    Shapes: `t_us` is `(events,)`, the result `(ceil(events / chunk_events),)`. Units: us.
    """
    starts = np.arange(0, len(t_us), chunk_events)
    if len(starts) == 0:
        return np.zeros(0, np.int64)
    seen = np.maximum.accumulate(np.maximum.reduceat(t_us, starts))
    ahead = np.minimum.accumulate(np.minimum.reduceat(t_us, starts)[::-1])[::-1]
    return np.append(np.minimum(seen[:-1], ahead[1:]), seen[-1])


def chunk_whole(columns: AnyColumns, chunk_events: int, stream: str) -> Iterator[EventChunk]:
    """Chunks of a file that was decoded in one piece."""
    for sequence, t_end_us in enumerate(watermarks(columns.t_us, chunk_events)):
        start = sequence * chunk_events
        piece = _piece(columns, start, start + chunk_events)
        yield _chunk(piece, int(t_end_us), stream, sequence)


def chunk_stream(packets: Iterator[C], chunk_events: int, stream: str) -> Iterator[EventChunk]:
    """Chunks of a file that is decoded as it is read, however its packets are cut.

    The watermark is the time of a chunk's last event. Where a later event lies before it all the
    same, the file breaks its own order, and the runtime counts that event as late.
    """
    for sequence, piece in enumerate(_recut(packets, chunk_events)):
        yield _chunk(piece, int(piece.t_us[-1]), stream, sequence)


def join(pieces: Sequence[C]) -> C:
    """Columns one after the other; at least one piece."""
    if len(pieces) == 1:
        return pieces[0]
    return type(pieces[0])(
        **{
            name: np.concatenate([getattr(piece, name) for piece in pieces])
            for name in _names(pieces[0])
        }
    )


def no_events() -> Columns:
    """Columns of a grid sensor without events."""
    address = np.zeros(0, np.uint16)
    return Columns(np.zeros(0, np.int64), address, address, np.zeros(0, np.bool_))


def _recut(packets: Iterator[C], chunk_events: int) -> Iterator[C]:
    waiting: list[C] = []
    events = 0
    for packet in packets:
        if len(packet) == 0:
            continue
        waiting.append(packet)
        events += len(packet)
        if events < chunk_events:
            continue
        ready = join(waiting)
        whole = events - events % chunk_events
        for start in range(0, whole, chunk_events):
            yield _piece(ready, start, start + chunk_events)
        waiting = [_piece(ready, whole, events)] if whole < events else []
        events -= whole
    if waiting:
        yield join(waiting)


def _piece(columns: C, start: int, stop: int) -> C:
    return type(columns)(**_sliced(columns, slice(start, stop)))


def _chunk(columns: AnyColumns, t_end_us: int, stream: str, sequence: int) -> EventChunk:
    return EventChunk(
        t_end_us=t_end_us, stream=stream, sequence=sequence, **_sliced(columns, slice(None))
    )


def _sliced(columns: AnyColumns, part: slice) -> dict[str, Any]:
    return {name: getattr(columns, name)[part] for name in _names(columns)}


def _names(columns: AnyColumns) -> list[str]:
    return [field.name for field in fields(columns)]
