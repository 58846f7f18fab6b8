"""Chunks cut into pieces that fit a wire message."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from retempo.sensors.events import EventChunk, Times
from retempo.sensors.geometry import ChannelGeometry, Geometry

SPAN_US = 65_535
PAYLOAD_BYTES = 65_536
GRID_EVENT_BYTES = 7
CHANNEL_EVENT_BYTES = 4


def cut(chunk: EventChunk, begin: int, end: int, t_end_us: int, lost: int = 0) -> EventChunk:
    """Return the events `begin` to `end` of a chunk as views, with a watermark of their own."""
    part = slice(begin, end)
    return EventChunk(
        t_us=chunk.t_us[part],
        t_end_us=t_end_us,
        x=None if chunk.x is None else chunk.x[part],
        y=None if chunk.y is None else chunk.y[part],
        on=None if chunk.on is None else chunk.on[part],
        channel=None if chunk.channel is None else chunk.channel[part],
        stream=chunk.stream,
        sequence=chunk.sequence,
        lost=lost,
    )


def no_events(geometry: Geometry, t_end_us: int) -> EventChunk:
    """Return a chunk without events: it tells the watermark alone."""
    t_us, address = np.zeros(0, np.int64), np.zeros(0, np.uint16)
    if isinstance(geometry, ChannelGeometry):
        return EventChunk(t_us, t_end_us, channel=address)
    return EventChunk(t_us, t_end_us, x=address, y=address, on=np.zeros(0, np.bool_))


def split(chunk: EventChunk) -> Iterator[EventChunk]:
    """Cut a chunk into pieces that each fit one message, events in their order.

    A piece spans at most `SPAN_US` from its earliest event to its latest and fills at most
    `PAYLOAD_BYTES`. Its watermark is the earliest event still to come, or the chunk's. The first
    piece carries the chunk's `lost`; a chunk without events is one piece.
    """
    t_us, size = chunk.t_us, len(chunk)
    most = PAYLOAD_BYTES // (GRID_EVENT_BYTES if chunk.channel is None else CHANNEL_EVENT_BYTES)
    if size <= most and (size == 0 or int(t_us.max()) - int(t_us.min()) <= SPAN_US):
        yield chunk
        return
    starts, end = [], 0
    while end < size:
        starts.append(end)
        end += _fitting(t_us[end : end + most])
    to_come = earliest_to_come(chunk, starts)
    for piece, (begin, end) in enumerate(pairwise([*starts, size])):
        yield cut(chunk, begin, end, to_come[piece + 1], chunk.lost if begin == 0 else 0)


def earliest_to_come(chunk: EventChunk, starts: list[int]) -> list[int]:
    """Return the watermark that holds before each piece of a chunk, and behind the last.

    Args:
        chunk: one with events.
        starts: where the pieces begin, ascending, the first at 0.
    """
    earliest = np.append(np.minimum.reduceat(chunk.t_us, starts), chunk.t_end_us)
    watermarks: list[int] = np.minimum.accumulate(earliest[::-1])[::-1].tolist()
    return watermarks


def _fitting(t_us: Times) -> int:
    """How many of the first events span at most `SPAN_US`, looking no further than need be."""
    if int(t_us.max()) - int(t_us.min()) <= SPAN_US:
        return len(t_us)
    looked = 64
    while True:
        part = t_us[:looked]
        span_us = np.maximum.accumulate(part) - np.minimum.accumulate(part)
        fitting = int(np.searchsorted(span_us, SPAN_US, side="right"))
        if fitting < len(part) or len(part) == len(t_us):
            return fitting
        looked *= 4
