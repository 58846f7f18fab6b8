"""Columns of any number type made events, with the values that no event has counted."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns, ChannelColumns, Columns
from retempo.sensors.events import Addresses, Polarities, Times
from retempo.sensors.files.table_columns import Unit
from retempo.sensors.problems import NO_PROBLEMS, Problems, total

LATEST_US = np.iinfo(np.int64).max
_EARLIEST_US = np.iinfo(np.int64).min
_US: dict[Unit, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NS = 1_000
_HALF = 0.5
_LIMIT = np.iinfo(np.uint16).max
_EXPECTED = {
    "time": "a number of microseconds within 63 bits",
    "address": f"a whole number from 0 to {_LIMIT}",
    "polarity": "1/0, 1/-1 or true/false",
}
_KIND = {"t": "time", "x": "address", "y": "address", "channel": "address", "on": "polarity"}


def events_of(
    raw: Mapping[str, NDArray[Any]],
    unit: Unit,
    place: Callable[[int], str],
    offset_us: int = 0,
) -> AnyColumns:
    """Return the events of raw columns `t`, `x`, `y` and `on`, or `t` and `channel`.

    A time finer than a microsecond goes to the nearest one, halves up. A row with a time, an
    address or a polarity that no event has is left out and counted.

    Args:
        raw: the columns, of any whole or floating type, or of bool for the polarity.
        unit: of the times.
        place: a row's name in words, as in `row 7`.
        offset_us: added to every time.

    Shapes: every column is `(rows,)`.
    """
    made = {name: _made(name, column, unit, offset_us) for name, column in raw.items()}
    wrong = np.zeros(len(raw["t"]), np.bool_)
    for _, bad in made.values():
        wrong |= bad
    values: dict[str, Any] = {name: column for name, (column, _) in made.items()}
    problems = NO_PROBLEMS
    if wrong.any():
        problems = _problems(raw, {name: bad for name, (_, bad) in made.items()}, wrong, place)
        values = {name: column[~wrong] for name, column in values.items()}
    if "channel" in values:
        return ChannelColumns(values["t"], values["channel"], problems)
    return Columns(values["t"], values["x"], values["y"], values["on"], problems)


def times_us(
    values: NDArray[Any], unit: Unit, offset_us: int = 0
) -> tuple[Times, NDArray[np.bool_]]:
    """Return times in whole microseconds, and which of them are no time or beyond 63 bits."""
    t_us, bad = _floats_us(values, unit) if values.dtype.kind == "f" else _whole_us(values, unit)
    if offset_us:
        over = t_us > LATEST_US - offset_us if offset_us > 0 else t_us < _EARLIEST_US - offset_us
        bad |= over
        t_us = np.where(over, 0, t_us) + offset_us
    return t_us, bad


def _floats_us(values: NDArray[Any], unit: Unit) -> tuple[Times, NDArray[np.bool_]]:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(np.float64)
        scaled = scaled / _NS if unit == "ns" else scaled * _US[unit]
        bad = ~(np.abs(scaled) < 2.0**63)
        scaled = np.where(bad, 0.0, scaled)
    whole = np.floor(scaled)
    return whole.astype(np.int64) + (scaled - whole >= _HALF), bad


def _whole_us(values: NDArray[Any], unit: Unit) -> tuple[Times, NDArray[np.bool_]]:
    wide = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)
    if unit == "ns":
        whole, rest = np.divmod(wide, wide.dtype.type(_NS))
        return whole.astype(np.int64) + (rest >= _NS // 2), np.zeros(len(wide), np.bool_)
    most = LATEST_US // _US[unit]
    bad: NDArray[np.bool_] = wide > most
    if wide.dtype.kind == "i":
        bad |= wide < -most
    return np.where(bad, 0, wide).astype(np.int64) * _US[unit], bad


def addresses(values: NDArray[Any]) -> tuple[Addresses, NDArray[np.bool_]]:
    """Return addresses of 16 bits, and which of them are none."""
    if values.dtype.kind == "f":
        good = (values >= 0) & (values <= _LIMIT) & (values == np.floor(values))
        return np.where(good, values, 0).astype(np.uint16), ~good
    bad = (values < 0) | (values > _LIMIT)
    return values.astype(np.uint16), bad


def polarities(values: NDArray[Any]) -> tuple[Polarities, NDArray[np.bool_]]:
    """Return which events are on, and which polarities are none of 1, 0 and -1."""
    on = values == 1
    return on, ~(on | (values == 0) | (values == -1))


def _made(
    name: str, values: NDArray[Any], unit: Unit, offset_us: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if name == "t":
        return times_us(values, unit, offset_us)
    return polarities(values) if name == "on" else addresses(values)


def _problems(
    raw: Mapping[str, NDArray[Any]],
    bad: Mapping[str, NDArray[np.bool_]],
    wrong: NDArray[np.bool_],
    place: Callable[[int], str],
) -> Problems:
    """Return what is wrong; a row counts once, for the first of its columns that is."""
    first = int(wrong.argmax())
    name = next(name for name in bad if bad[name][first])
    kept = int(np.count_nonzero(~wrong[:first]))
    text = f"{place(first)} holds {name} = {raw[name][first]}, expected {_EXPECTED[_KIND[name]]}"
    counts: dict[str, int] = {}
    seen = np.zeros(len(wrong), np.bool_)
    for column, flags in bad.items():
        fresh = int(np.count_nonzero(flags & ~seen))
        counts = total([counts, {_KIND[column]: fresh}]) if fresh else counts
        seen |= flags
    return Problems(counts, _KIND[name], text, kept)
