"""A stream cut along event time, so that it can be sent at the sensor's own pace."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from retempo.sensors.events import EventChunk, Times
from retempo.sensors.pieces import cut, earliest_to_come

# What is silent for longer is told as the jump of time that it may as well be: a corrupt time that
# lies days ahead would else become millions of slices, each of which the daemon has to step.
LONGEST_SILENCE_US = 600_000_000
# So many events in a row say that time has leapt by more; fewer are corrupt, and move nothing.
_CONFIRM = 8


@dataclass(frozen=True, slots=True)
class Slice:
    """Events that a live sensor would have handed over at the event time `due_us`."""

    due_us: int
    chunk: EventChunk


def slices(chunks: Iterable[EventChunk], slice_us: int) -> Iterator[Slice]:
    """Cut a stream into slices of event time; silence becomes slices without events.

    Of a silence of more than `LONGEST_SILENCE_US` only the first slice is told. Events that lie as
    far ahead, and that those behind them do not bear out, are handed on with their neighbours.

    Slices end at whole multiples of their length, as bins do. No event, order or loss changes; the
    watermarks are as late as the events still to come allow, but never later than the slice is
    due: what a live sensor could not know is not told early.

    Args:
        chunks: a stream in its order.
        slice_us: length of a slice.
    """
    cutter = _Cutter(slice_us)
    for chunk in chunks:
        yield from cutter.cut(chunk)


class _Cutter:
    """Where the cutting stands: the time reached, the watermark told, the next slice's end."""

    def __init__(self, slice_us: int) -> None:
        self._slice_us = slice_us
        self._reached_us: int | None = None
        self._told_us = 0
        self._due_us = 0

    def cut(self, chunk: EventChunk) -> Iterator[Slice]:
        if self._reached_us is None:
            self._reached_us = int(chunk.t_us[0]) if len(chunk) else chunk.t_end_us
            self._due_us = (self._reached_us // self._slice_us + 1) * self._slice_us
            self._told_us = min(self._reached_us, _earliest(chunk))
        lost = chunk.lost
        if len(chunk):
            reach = reached(chunk.t_us, self._reached_us)
            if _leaps(int(chunk.t_us.max()), int(reach[-1])):
                # Many a reader takes its watermark from the events, whatever they say.
                chunk = cut(chunk, 0, len(chunk), min(chunk.t_end_us, int(reach[-1])), lost)
            edges = self._edges(reach)
            to_come = earliest_to_come(chunk, edges[:-1])
            for piece, (start, end) in enumerate(pairwise(edges)):
                yield from self._silence(chunk, to_come[piece])
                self._reached_us = int(reach[end - 1])
                behind_us = (self._reached_us - self._due_us) // self._slice_us + 1
                self._due_us += max(0, behind_us) * self._slice_us
                self._told_us = max(self._told_us, min(self._due_us, to_come[piece + 1]))
                yield Slice(self._due_us, cut(chunk, start, end, self._told_us, lost))
                lost = 0
        yield from self._silence(chunk, chunk.t_end_us)
        if chunk.t_end_us > self._told_us or lost:
            self._reached_us = max(self._reached_us, chunk.t_end_us)
            self._told_us = max(self._told_us, chunk.t_end_us)
            due_us = max(self._told_us, self._due_us - self._slice_us)
            yield Slice(due_us, cut(chunk, 0, 0, self._told_us, lost))

    def _edges(self, reach: Times) -> list[int]:
        """Return where the latest time so far enters another slice, and both ends."""
        edges, due_us = [0], self._due_us
        while edges[-1] < len(reach):
            behind_us = int(reach[edges[-1]]) - due_us
            due_us += max(0, behind_us // self._slice_us + 1) * self._slice_us
            edges.append(int(np.searchsorted(reach, due_us)))
        return edges

    def _silence(self, chunk: EventChunk, until_us: int) -> Iterator[Slice]:
        """Yield the slices that end by then."""
        while self._due_us <= until_us:
            if self._due_us > self._told_us:
                self._told_us = self._due_us
                yield Slice(self._due_us, cut(chunk, 0, 0, self._told_us))
            self._due_us += self._slice_us
            if _leaps(until_us, self._due_us):
                self._due_us = (until_us // self._slice_us + 1) * self._slice_us


def reached(t_us: Times, before_us: int) -> Times:
    """Return the latest time up to each event, but for those that leap and stand alone.

    A leap of more than `LONGEST_SILENCE_US` is believed where eight events in a row make it, or all
    of a chunk.
    """
    if _leaps(int(t_us.max()), before_us):
        return _reached_by_many(t_us, before_us)
    if t_us[0] >= before_us and bool((t_us[1:] >= t_us[:-1]).all()):
        return t_us
    return np.maximum.accumulate(np.maximum(t_us, before_us))


def _reached_by_many(t_us: Times, before_us: int) -> Times:
    times, reach = t_us.tolist(), []
    for k, at_us in enumerate(times):
        if _leaps(at_us, before_us):
            behind = times[k : k + _CONFIRM]
            enough = len(behind) == _CONFIRM or k == 0
            if not enough or not all(_leaps(each, before_us) for each in behind):
                reach.append(before_us)
                continue
        before_us = max(before_us, at_us)
        reach.append(before_us)
    return np.array(reach, np.int64)


def _leaps(at_us: int, before_us: int) -> bool:
    return at_us - before_us > LONGEST_SILENCE_US


def _earliest(chunk: EventChunk) -> int:
    return min(int(chunk.t_us.min()) if len(chunk) else chunk.t_end_us, chunk.t_end_us)
