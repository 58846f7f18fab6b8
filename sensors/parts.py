"""Chunks cut and joined, whatever the sensor."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk

_COLUMNS = ("t_us", "x", "y", "on", "channel")


def part(chunk: EventChunk, which: slice | NDArray[np.int64]) -> EventChunk:
    """Return some events of a chunk, all else as it is."""
    columns = {name: getattr(chunk, name) for name in _COLUMNS}
    arrays: dict[str, Any] = {n: c[which] for n, c in columns.items() if c is not None}
    return replace(chunk, **arrays)


def joined(chunks: Sequence[EventChunk]) -> EventChunk:
    """Return the events of chunks one after the other, all else as the last has it."""
    if len(chunks) == 1:
        return chunks[0]
    columns = {name: [getattr(chunk, name) for chunk in chunks] for name in _COLUMNS}
    arrays: dict[str, Any]
    arrays = {name: np.concatenate(each) for name, each in columns.items() if each[0] is not None}
    return replace(chunks[-1], **arrays)


def recut(chunks: Iterable[EventChunk], events: int) -> Iterator[EventChunk]:
    """Yield the events of a stream by `events` a chunk and a last shorter one, for a writer.

    Watermarks and counts are not kept.
    """
    waiting: list[EventChunk] = []
    held = 0
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        waiting.append(chunk)
        held += len(chunk)
        if held < events:
            continue
        ready = joined(waiting)
        whole = held - held % events
        for start in range(0, whole, events):
            yield part(ready, slice(start, start + events))
        waiting = [part(ready, slice(whole, held))] if whole < held else []
        held -= whole
    if held:
        yield joined(waiting)
