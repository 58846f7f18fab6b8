"""A part of a source in time, and times that start at zero."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from retempo.sensors.errors import SensorError, UnitError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.filters.select import select
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import total
from retempo.sensors.units import UNITS_US

_MOMENT = re.compile(r"(@-?)?([0-9]{1,19}(?:\.[0-9]+)?) ?(us|ms|s)")
_LIMIT_US = 1 << 62


@dataclass(frozen=True, slots=True)
class Moment:
    """A time counted from a recording's first event, or of the sensor's clock if `absolute`."""

    us: int
    absolute: bool = False


def parse_moment(text: str) -> Moment:
    """Return the moment of `1.5s` or `250ms`, or of the sensor's clock with an @ as in `@1.5s`.

    Raises:
        UnitError: the text is no moment, or no whole number of microseconds.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise UnitError(
            f"{text!r} is no moment; write 1.5s, 250ms or 10us counted from the first event, or "
            "@1.5s for the sensor's own clock"
        )
    moment_us = Decimal(match[2]) * UNITS_US[match[3]]
    if moment_us != moment_us.to_integral_value() or moment_us >= _LIMIT_US:
        raise UnitError(f"{text!r} is {moment_us} us; times are whole microseconds below 2^62")
    sign = -1 if (match[1] or "").endswith("-") else 1
    return Moment(sign * int(moment_us), absolute=match[1] is not None)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The events of a source from `begin` on and before `end`; None is no bound.

    Reading stops where no event of the range can follow. The first event is that of the source's
    own order. A chunk before the range is yielded without its events: its watermark and counts
    are told.

    Raises:
        SensorError: the range ends before it begins.
    """

    source: Source
    begin: Moment | None = None
    end: Moment | None = None

    def __post_init__(self) -> None:
        if self.begin is None or self.end is None or self.begin.absolute != self.end.absolute:
            return
        if self.begin.us >= self.end.us:
            raise SensorError(
                f"the range from {self.begin.us} us to {self.end.us} us holds no time; "
                "--from lies before --to"
            )

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        zero_us: int | None = None
        for chunk in self.source:
            if zero_us is None and len(chunk):
                zero_us = int(chunk.t_us[0])
            begin_us, end_us = _clock_us(self.begin, zero_us), _clock_us(self.end, zero_us)
            keep = np.ones(len(chunk), np.bool_)
            if begin_us is not None:
                keep &= chunk.t_us >= begin_us
            if end_us is not None:
                keep &= chunk.t_us < end_us
            over = end_us is not None and chunk.t_end_us >= end_us
            t_end_us = end_us if over and end_us is not None else chunk.t_end_us
            yield replace(select(chunk, keep), t_end_us=t_end_us)
            if over:
                return


def _clock_us(moment: Moment | None, zero_us: int | None) -> int | None:
    """The moment on the sensor's clock; None where there is no bound, or no event as yet."""
    if moment is None or moment.absolute:
        return None if moment is None else moment.us
    return None if zero_us is None else zero_us + moment.us


@dataclass(frozen=True, slots=True)
class FromZero:
    """A source whose times count from its first event; one in another order may lie below 0.

    What comes before the first event is told with it.
    """

    source: Source

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        zero_us: int | None = None
        before: EventChunk | None = None
        for chunk in self.source:
            told = chunk if before is None else _with_counts_of(before, chunk)
            before = None
            if zero_us is None and len(chunk) == 0:
                before = told
                continue
            zero_us = int(chunk.t_us[0]) if zero_us is None else zero_us
            yield replace(told, t_us=told.t_us - zero_us, t_end_us=told.t_end_us - zero_us)
        if before is not None:
            yield replace(before, t_end_us=0)


def _with_counts_of(before: EventChunk, chunk: EventChunk) -> EventChunk:
    return replace(
        chunk,
        lost=before.lost + chunk.lost,
        problems=total([before.problems, chunk.problems]),
        removed=total([before.removed, chunk.removed]),
    )
