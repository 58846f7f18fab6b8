"""Decoded columns cut into chunks of a bounded size, with their watermarks."""

from collections.abc import Iterator

import numpy as np

from retempo.sensors.events import EventChunk, Times
from retempo.sensors.files.format import Columns


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


def chunk_whole(columns: Columns, chunk_events: int, stream: str) -> Iterator[EventChunk]:
    """Chunks of a file that was decoded in one piece."""
    for sequence, t_end_us in enumerate(watermarks(columns.t_us, chunk_events)):
        start = sequence * chunk_events
        piece = _piece(columns, start, start + chunk_events)
        yield _chunk(piece, int(t_end_us), stream, sequence)


def chunk_stream(
    packets: Iterator[Columns], chunk_events: int, stream: str
) -> Iterator[EventChunk]:
    """Chunks of a file that is decoded as it is read, however its packets are cut.

    The watermark is the time of a chunk's last event. Where a later event lies before it all the
    same, the file breaks its own order, and the runtime counts that event as late.
    """
    for sequence, piece in enumerate(_recut(packets, chunk_events)):
        yield _chunk(piece, int(piece.t_us[-1]), stream, sequence)


def join(pieces: list[Columns]) -> Columns:
    """Columns one after the other; no columns give empty ones."""
    if len(pieces) == 1:
        return pieces[0]
    return Columns(
        t_us=np.concatenate([np.zeros(0, np.int64), *(p.t_us for p in pieces)]),
        x=np.concatenate([np.zeros(0, np.uint16), *(p.x for p in pieces)]),
        y=np.concatenate([np.zeros(0, np.uint16), *(p.y for p in pieces)]),
        on=np.concatenate([np.zeros(0, np.bool_), *(p.on for p in pieces)]),
    )


def _recut(packets: Iterator[Columns], chunk_events: int) -> Iterator[Columns]:
    waiting: list[Columns] = []
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


def _piece(columns: Columns, start: int, stop: int) -> Columns:
    part = slice(start, stop)
    return Columns(columns.t_us[part], columns.x[part], columns.y[part], columns.on[part])


def _chunk(columns: Columns, t_end_us: int, stream: str, sequence: int) -> EventChunk:
    return EventChunk(
        t_us=columns.t_us,
        t_end_us=t_end_us,
        x=columns.x,
        y=columns.y,
        on=columns.on,
        stream=stream,
        sequence=sequence,
    )
