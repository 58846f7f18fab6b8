"""Decoded pieces cut into chunks of a bounded size, with their watermarks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from retempo.sensors.columns import AnyColumns, arrays_of, join, part_of
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk, Times

C = TypeVar("C", bound=AnyColumns)

# A file of no more events is held in memory, so that it is decoded once.
HELD_EVENTS = 1 << 20


def chunk_forward(pieces: Iterator[C], chunk_events: int, stream: str) -> Iterator[EventChunk]:
    """Chunks of a file whose times go forward, however its pieces are cut.

    The watermark is the time of a chunk's last event. Where a later event lies before it all the
    same, the file breaks its own order, and the runtime counts that event as late.
    """
    t_end_us = 0
    for sequence, piece in enumerate(_recut(pieces, chunk_events)):
        t_end_us = int(piece.t_us[-1]) if len(piece) else t_end_us
        yield _chunk(piece, t_end_us, stream, sequence)


def chunk_any_order(
    decode: Callable[[], Iterator[C]], chunk_events: int, stream: str
) -> Iterator[EventChunk]:
    """Chunks of a file whose times may go back by any amount, with the largest honest watermarks.

    `w[k] = min(max(t of chunks <= k), min(t of chunks > k))`: the last event's time where times
    never go back, and otherwise early enough that no later chunk holds an event before it. A file
    of more than `HELD_EVENTS` events is decoded twice, so that memory stays bounded.

    Raises:
        RecordingError: as `decode`, once the events before the damage are out.
    """
    held: list[C] = []
    events = 0
    latest: list[int] = []
    earliest: list[int] = []
    error: RecordingError | None = None
    try:
        for piece in _recut(decode(), chunk_events):
            events += len(piece)
            if events <= HELD_EVENTS:
                held.append(piece)
            else:
                held.clear()
            if len(piece):
                latest.append(int(piece.t_us.max()))
                earliest.append(int(piece.t_us.min()))
    except RecordingError as damage:
        error = damage
    pieces = iter(held) if events <= HELD_EVENTS else _recut(decode(), chunk_events)
    ends = iter(watermarks(np.array(latest, np.int64), np.array(earliest, np.int64)).tolist())
    t_end_us, to_come = 0, events
    for sequence, piece in enumerate(pieces):
        if len(piece):
            known = next(ends, None)
            if known is None:
                raise _changed(stream)
            t_end_us, to_come = known, to_come - len(piece)
        yield _chunk(piece, t_end_us, stream, sequence)
    if error is not None:
        raise error
    if to_come:
        raise _changed(stream)


def _changed(stream: str) -> RecordingError:
    return RecordingError(
        f"{stream} changed while it was read; read it when it is complete, or copy it first"
    )


def watermarks(latest_us: Times, earliest_us: Times) -> Times:
    """The largest honest watermark of each chunk, from its latest and its earliest event.

    Shapes: all `(chunks,)`. Units: us.
    """
    if len(latest_us) == 0:
        return latest_us
    seen = np.maximum.accumulate(latest_us)
    ahead = np.minimum.accumulate(earliest_us[::-1])[::-1]
    return np.append(np.minimum(seen[:-1], ahead[1:]), seen[-1])


def _recut(pieces: Iterator[C], chunk_events: int) -> Iterator[C]:
    """Pieces of `chunk_events` events and a last shorter one; it is empty if it has problems.

    Where the pieces end with an error, what they held before it comes first.
    """
    waiting: list[C] = []
    events = 0
    error: RecordingError | None = None
    source = iter(pieces)
    while True:
        try:
            piece = next(source)
        except StopIteration:
            break
        except RecordingError as damage:
            error = damage
            break
        if len(piece) == 0 and not piece.problems:
            continue
        waiting.append(piece)
        events += len(piece)
        if events < chunk_events:
            continue
        ready = join(waiting)
        whole = events - events % chunk_events
        for start in range(0, whole, chunk_events):
            chunk = part_of(ready, slice(start, start + chunk_events))
            # What was wrong with the pieces goes with the first chunk of them.
            yield replace(chunk, problems=ready.problems) if start == 0 else chunk
        waiting = [part_of(ready, slice(whole, events))] if whole < events else []
        events -= whole
    if waiting:
        yield join(waiting)
    if error is not None:
        raise error


def _chunk(columns: AnyColumns, t_end_us: int, stream: str, sequence: int) -> EventChunk:
    arrays: dict[str, Any] = {**arrays_of(columns)}
    return EventChunk(
        t_end_us=t_end_us,
        stream=stream,
        sequence=sequence,
        lost=columns.problems.counts.get("outside", 0),
        problems=columns.problems.counts,
        **arrays,
    )
