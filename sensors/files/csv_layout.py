"""How a text of events is laid out, from its first lines."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.table_columns import (
    Layout,
    given_layout,
    layout_of_names,
    layout_of_values,
    with_unit,
)
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
WORDS = {"true": 1.0, "false": 0.0}
_SIZE = re.compile(r"\d{1,9}", re.ASCII)
COMMENTS = ("#", "%")
# A space stands for any run of spaces and tabs.
_SEPARATORS = (",", ";", "\t", " ")
_SAMPLE_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Opening:
    """The first lines of a text: its names, if any, and its first rows of numbers.

    `names_line` counts lines from 1; it is 0 where no line names the columns.
    """

    separator: str
    names: tuple[str, ...]
    names_line: int
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TextLayout:
    """What each cell of a line holds.

    `whole` says that the times were taken for microseconds because they are whole, so that one with
    a fraction is none. `names_line` as in `Opening`.
    """

    separator: str
    columns: Layout
    whole: bool
    names_line: int = 0


def read_opening(head: bytes) -> Opening | None:
    """Return the opening of a text of events; None where it begins with something else.

    A line of names may be a comment; other comments, blank lines and lines with something else than
    numbers among them are passed over.
    """
    lines = head.decode("utf-8-sig", "replace").split("\n")
    if not head.endswith(b"\n") and len(lines) > 1:
        lines = lines[:-1]
    names: tuple[str, ...] = ()
    names_line = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text in COMMENTS:
            continue
        cells = split_line(text.lstrip("#% "), separator_of(text))
        if text.startswith(COMMENTS):
            if layout_of_names(plain_names(cells)) is not None:
                names, names_line = cells, number
            continue
        separator = " " if " " in text and separator_of(text) == "\t" else separator_of(text)
        if _numbers(split_line(text, separator)) is not None:
            rows = (_numbers(split_line(each.strip(), separator)) for each in lines[number - 1 :])
            read = list(islice((row for row in rows if row is not None), _SAMPLE_ROWS))
            width = Counter(len(row) for row in read).most_common(1)[0][0]
            same = tuple(row for row in read if len(row) == width)
            return Opening(separator, names, names_line, same)
        if names_line and layout_of_names(plain_names(names)) is not None:
            continue
        if any(NUMBER.fullmatch(cell) for cell in cells):
            continue
        if names or len(cells) < len(("t", "channel")):
            return None
        names, names_line = cells, number
    return Opening(separator_of(",".join(names)), names, names_line, ()) if names else None


def layout_of_text(
    path: Path, opening: Opening, columns: str, geometry: Geometry | None
) -> TextLayout:
    """Return the layout that the caller, the names or the numbers tell, in this order.

    Raises:
        RecordingError: neither of them does.
    """
    sample = np.array(opening.rows or np.zeros((0, 0)))
    layout: Layout | None
    if columns:
        layout = given_layout(path, columns)
    elif opening.names:
        layout = layout_of_names(plain_names(opening.names))
    else:
        layout = layout_of_values(path, sample, geometry)
    if layout is None:
        raise RecordingError(
            f"{path} names its columns {', '.join(opening.names)[:80]!r}, expected a head line "
            "that names t, x, y and on, or t and channel, once each; say what they hold, as in "
            f"{path.name}#columns=x,y,t_us,on"
        )
    place = layout.roles.index("t")
    known = with_unit(layout, sample[:, place] if sample.shape[1] > place else np.zeros(0))
    return TextLayout(
        opening.separator,
        known,
        whole=layout.unit is None and known.unit == "us",
        names_line=opening.names_line,
    )


def stated_geometry(opening: Opening) -> Geometry | None:
    """Return the sensor that the names state, as in `x@640, y@480` or `channel@70`."""
    sizes: dict[str, int] = {}
    layout = layout_of_names(plain_names(opening.names))
    for name, role in zip(opening.names, layout.roles if layout else (), strict=False):
        size = name.partition("@")[2].strip()
        if _SIZE.fullmatch(size):
            sizes[role] = int(size)
    if "x" in sizes and "y" in sizes:
        return GridGeometry(sizes["x"], sizes["y"])
    return ChannelGeometry(sizes["channel"]) if "channel" in sizes else None


def plain_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names without the size that may follow them."""
    return tuple(name.partition("@")[0] for name in names)


def separator_of(line: str) -> str:
    """Return what parts the cells of a line."""
    return next(mark for mark in _SEPARATORS if mark in line or mark == _SEPARATORS[-1])


def split_line(line: str, separator: str) -> tuple[str, ...]:
    """Return the cells of a line without the blanks round them."""
    if separator == " ":
        cells = (cell.strip("\r") for cell in line.replace("\t", " ").split(" "))
        return tuple(cell for cell in cells if cell)
    return tuple(cell.strip(" \t\r") for cell in line.split(separator))


def _numbers(cells: tuple[str, ...]) -> tuple[float, ...] | None:
    """Return the numbers of a line; None where a cell is none or it is alone."""
    row = []
    for cell in cells:
        if NUMBER.fullmatch(cell):
            row.append(float(cell))
        elif cell.lower() in WORDS:
            row.append(WORDS[cell.lower()])
        else:
            return None
    return tuple(row) if len(row) > 1 else None
