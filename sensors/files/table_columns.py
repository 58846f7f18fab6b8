"""What the columns of a table of events hold: said by names, by the caller, or by the numbers."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

Unit = Literal["s", "ms", "us", "ns"]
Role = Literal["t", "x", "y", "on", "channel", ""]

_TIME = re.compile(
    r"^(?:t|ts|time|times|timestamp|timestamps)"
    r"(?:[ _.\[(]+(s|sec|secs|second|seconds|ms|msec|milliseconds|us|µs|μs|usec|micros|microseconds"
    r"|ns|nsec|nanos|nanoseconds)[\])]*)?$"
)
_NAMES: dict[Role, tuple[str, ...]] = {
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "on": ("on", "p", "ps", "pol", "polarity", "polarities"),
    "channel": ("channel", "ch", "unit", "units", "neuron", "address", "addr"),
}
# Those in use; a table without names has one of them.
_KNOWN: tuple[tuple[Role, ...], ...] = (
    ("t", "x", "y", "on"),
    ("x", "y", "t", "on"),
    ("x", "y", "on", "t"),
    ("t", "on", "x", "y"),
)
_KNOWN_CHANNELS: tuple[tuple[Role, ...], ...] = (("t", "channel"), ("channel", "t"))
# Fewer rows may grow in a column of addresses by chance.
_TELLING_ROWS = 16
# A time that goes back now and then is the sensor's; an address goes back at every other row.
_BACK_SHARE = 1 / 20
_BAD_SHARE = 1 / 16
_LIMIT = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class Layout:
    """What each column of a table holds, `""` being passed over, and the unit of the times.

    Without a unit the numbers tell it: times with fractions are seconds, whole ones microseconds.
    """

    roles: tuple[Role, ...]
    unit: Unit | None = None

    @property
    def channels(self) -> bool:
        """Whether the events are those of a row of channels."""
        return "channel" in self.roles


def role_of(name: str) -> tuple[Role, Unit | None]:
    """Return what a column of this name holds, and the unit that the name states for times."""
    plain = name.strip().lower().lstrip("#% ").strip("\"' ")
    time = _TIME.match(plain)
    if time is not None:
        stated = time[1] or ""
        unit: dict[str, Unit] = {"m": "ms", "u": "us", "n": "ns", "µ": "us", "μ": "us", "s": "s"}
        if stated.startswith("mic"):
            return "t", "us"
        return "t", unit[stated[0]] if stated else None
    for role, known in _NAMES.items():
        if plain in known:
            return role, None
    return "", None


def layout_of_names(names: tuple[str, ...]) -> Layout | None:
    """Return the layout that names tell; None where they do not name an event's columns once each.

    A table with x but no y is one of channels.
    """
    found = [role_of(name) for name in names]
    roles: list[Role] = [role for role, _ in found]
    if "x" in roles and "y" not in roles and "channel" not in roles:
        roles = ["channel" if role == "x" else role for role in roles]
    if "channel" in roles and "x" not in roles and "y" not in roles and roles.count("on") == 1:
        roles = ["" if role == "on" else role for role in roles]
    used = sorted(role for role in roles if role)
    if used not in (["on", "t", "x", "y"], ["channel", "t"]):
        return None
    unit = next(unit for role, unit in found if role == "t")
    return Layout(tuple(roles), unit)


def given_layout(path: Path, columns: str) -> Layout:
    """Return the layout that the caller spells out, as in `x,y,t_ns,p`; `_` is passed over.

    Raises:
        RecordingError: a name is unknown, missing or there twice.
    """
    names = tuple(name.strip() for name in columns.split(","))
    unknown = [name for name in names if name != "_" and not role_of(name)[0]]
    layout = None if unknown else layout_of_names(names)
    if layout is None:
        raise RecordingError(
            f"{path} is to be read by columns={columns}, which "
            + (f"has the unknown name {unknown[0]!r}" if unknown else "is no event")
            + "; expected t (or t_s, t_ms, t_us, t_ns), x, y and on, or t and channel, each once, "
            "with _ for a column to pass over"
        )
    return layout


def layout_of_values(path: Path, sample: NDArray[Any], geometry: Geometry | None) -> Layout:
    """Return the layout of a table without names, from its first rows.

    An order is possible where its polarities are 0, 1 or -1 and its addresses whole numbers of 16
    bits that the geometry, if known, has. Of several possible ones, those whose time grows (or
    stands still, if none grows) are taken, and t, x, y, on before others. Fewer than 16 rows show
    nothing that grows: they are t, x, y, on wherever that is possible.

    Shapes: `sample` is `(rows, columns)`.

    Raises:
        RecordingError: the numbers leave the order open.
    """
    rows, columns = sample.shape
    known = _KNOWN_CHANNELS if columns == 2 else _KNOWN
    if columns != len(known[0]):
        raise _open_order(path, f"has {columns} columns and no names for them")
    table = sample.astype(np.float64)
    inside = geometry if isinstance(geometry, GridGeometry | ChannelGeometry) else None
    possible = [roles for roles in known if _fits(table, roles, inside)]
    possible = possible or [roles for roles in known if _fits(table, roles, None)]
    if rows < _TELLING_ROWS:
        chosen = possible if known[0] not in possible else [known[0]]
        chosen = chosen or [known[0]]
    else:
        growing = [roles for roles in possible if _grows(table[:, roles.index("t")])]
        still = [roles for roles in possible if np.ptp(table[:, roles.index("t")]) == 0]
        chosen = growing or still or possible
        chosen = [known[0]] if known[0] in (growing or still) else chosen
    if len(chosen) != 1:
        orders = " or ".join(",".join(roles) for roles in chosen) or "no order that is known"
        raise _open_order(path, f"has columns without names whose numbers allow {orders}")
    return Layout(chosen[0])


def _open_order(path: Path, what: str) -> RecordingError:
    return RecordingError(
        f"{path} {what}; say what they hold, as in {path.name}#columns=x,y,t_us,on or "
        'columns="x,y,t_us,on"'
    )


def with_unit(layout: Layout, times: NDArray[Any]) -> Layout:
    """Return the layout with the unit that the first times tell where none is stated."""
    if layout.unit is not None:
        return layout
    if times.dtype.kind != "f":
        return replace(layout, unit="us")
    finite = times[np.isfinite(times)]
    return replace(layout, unit="s" if (finite != np.floor(finite)).any() else "us")


def _fits(table: NDArray[np.float64], roles: tuple[Role, ...], geometry: Geometry | None) -> bool:
    wrong = np.zeros(len(table), np.bool_)
    sides = {"x": _LIMIT, "y": _LIMIT, "channel": _LIMIT}
    if isinstance(geometry, GridGeometry):
        sides |= {"x": geometry.width - 1, "y": geometry.height - 1}
    elif geometry is not None:
        sides |= {"channel": geometry.channels - 1}
    for column, role in zip(table.T, roles, strict=True):
        if role == "on":
            wrong |= ~np.isin(column, (-1, 0, 1))
        elif role in sides:
            wrong |= ~((column >= 0) & (column <= sides[role]) & (column == np.floor(column)))
    return int(np.count_nonzero(wrong)) <= len(table) * _BAD_SHARE


def _grows(times: NDArray[np.float64]) -> bool:
    steps = np.diff(times[np.isfinite(times)])
    if len(steps) == 0:
        return False
    back = np.count_nonzero(steps < 0)
    return bool(steps.sum() > 0 and back <= len(steps) * _BACK_SHARE)
