"""Decoded events as columns, before they are cut into chunks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, Polarities, Times
from retempo.sensors.problems import NO_PROBLEMS, Problems, both


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Decoded events of a grid sensor, in the order of the input, and what was wrong with it.

    Shapes: every column is `(events,)`. Units: microseconds.
    """

    t_us: Times
    x: Addresses
    y: Addresses
    on: Polarities
    problems: Problems = NO_PROBLEMS

    def __len__(self) -> int:
        return len(self.t_us)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelColumns:
    """Decoded events of a channel sensor, in the order of the input, and what was wrong with it.

    Shapes: every column is `(events,)`. Units: microseconds.
    """

    t_us: Times
    channel: Addresses
    problems: Problems = NO_PROBLEMS

    def __len__(self) -> int:
        return len(self.t_us)


AnyColumns = Columns | ChannelColumns
C = TypeVar("C", bound=AnyColumns)


def arrays_of(columns: AnyColumns) -> dict[str, NDArray[Any]]:
    """Return the columns by name, in the names of `EventChunk`."""
    if isinstance(columns, Columns):
        return {"t_us": columns.t_us, "x": columns.x, "y": columns.y, "on": columns.on}
    return {"t_us": columns.t_us, "channel": columns.channel}


def part_of(columns: C, part: slice | NDArray[np.bool_]) -> C:
    """Return some of the events, without the problems."""
    arrays: dict[str, Any] = {name: column[part] for name, column in arrays_of(columns).items()}
    return replace(columns, **arrays, problems=NO_PROBLEMS)


def join(pieces: Sequence[C]) -> C:
    """Return columns one after the other, with the problems of all; at least one piece."""
    if len(pieces) == 1:
        return pieces[0]
    problems, events = NO_PROBLEMS, 0
    for piece in pieces:
        problems = both(problems, piece.problems, events)
        events += len(piece)
    every = [arrays_of(piece) for piece in pieces]
    arrays: dict[str, Any]
    arrays = {name: np.concatenate([each[name] for each in every]) for name in every[0]}
    return replace(pieces[0], **arrays, problems=problems)


def no_events(problems: Problems = NO_PROBLEMS) -> Columns:
    """Return columns of a grid sensor without events."""
    address = np.zeros(0, np.uint16)
    return Columns(np.zeros(0, np.int64), address, address, np.zeros(0, np.bool_), problems)


def no_channel_events(problems: Problems = NO_PROBLEMS) -> ChannelColumns:
    """Return columns of a channel sensor without events."""
    return ChannelColumns(np.zeros(0, np.int64), np.zeros(0, np.uint16), problems)
