"""Decoders of formats whose records all have the same size, and clocks that wrap."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import Buffer, ByteDecoder, Carried, whole_records
from retempo.sensors.columns import AnyColumns, Columns, no_events
from retempo.sensors.events import Times
from retempo.sensors.problems import NO_PROBLEMS, Problems, problem

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Records(Generic[S]):
    """What is carried from piece to piece: the begun record, and what the format remembers."""

    known: S
    carried: Carried = field(default_factory=Carried)


def record_decoder(
    record_bytes: int,
    known: S,
    decode: Callable[[S, bytes], tuple[S, AnyColumns]],
    nothing: Callable[[Problems], AnyColumns] = no_events,
) -> ByteDecoder[Records[S]]:
    """Return a decoder of records of `record_bytes`; a record begun at the end is truncated.

    Args:
        record_bytes: the size of every record.
        known: what the format remembers before the first record.
        decode: decodes whole records, `(known, data) -> (known, columns)`.
        nothing: columns without events, of the format's kind of sensor.
    """

    def start() -> Records[S]:
        return Records(known)

    def feed(state: Records[S], data: Buffer) -> tuple[Records[S], AnyColumns]:
        whole, carried = whole_records(state.carried, data, record_bytes)
        after, columns = decode(state.known, whole)
        return Records(after, carried), columns

    def finish(state: Records[S]) -> AnyColumns:
        rest = len(state.carried.rest)
        if not rest:
            return nothing(NO_PROBLEMS)
        return nothing(
            problem(
                "truncated", f"it ends {rest} bytes into an event of {record_bytes} bytes", kept=0
            )
        )

    return ByteDecoder(start, feed, finish)


@dataclass(frozen=True, slots=True)
class Clock:
    """The last count of a counter that wraps, None before the first, and the wraps so far."""

    last: int | None = None
    wraps: int = 0


def unwrap(clock: Clock, counts: Times, bits: int = 32) -> tuple[Clock, Times]:
    """Return the counts run on through the counter's wraps, and the clock for the next piece.

    A step back by more than half of the range is a wrap, a step forward by more than half of it
    undoes one.

    Shapes: `counts` is `(events,)`, each from 0 to `2**bits - 1`.
    """
    if len(counts) == 0:
        return clock, counts
    half = 1 << (bits - 1)
    before = int(counts[0]) if clock.last is None else clock.last
    steps = np.diff(counts, prepend=before)
    wraps = clock.wraps + np.cumsum((steps < -half).astype(np.int64) - (steps > half))
    return Clock(int(counts[-1]), int(wraps[-1])), counts + (wraps << bits)


def drop_and_count(columns: Columns, bad: NDArray[np.bool_], kind: str, text: str) -> Columns:
    """Return the columns without the bad events, which are counted.

    Args:
        columns: decoded events without problems yet.
        bad: which of them no event can be, shape `(events,)`.
        kind: the kind of problem.
        text: what is wrong with the first; `{t}` stands for its time.
    """
    if not bad.any():
        return columns
    first = int(bad.argmax())
    told = text.format(t=int(columns.t_us[first]))
    arrays: dict[str, Any] = {
        name: getattr(columns, name)[~bad] for name in ("t_us", "x", "y", "on")
    }
    found = problem(kind, told, first, int(np.count_nonzero(bad)))
    return replace(columns, **arrays, problems=found)
