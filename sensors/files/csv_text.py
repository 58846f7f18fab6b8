"""Comma-separated text, one event a line: t, x, y, on; times in whole microseconds.

faery's CSV decoder lifts a time that goes back to the time before it; this one keeps it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from retempo.sensors.columns import Columns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import Format, Opened, of_grid, reason
from retempo.sensors.files.writers.csv_text import write_csv
from retempo.sensors.geometry import GridGeometry

_SEPARATORS = ",;\t "
_NAMES = {
    "t": ("t", "ts", "t_us", "time", "time_us", "timestamp", "timestamp_us"),
    "x": ("x",),
    "y": ("y",),
    "on": ("on", "p", "pol", "polarity"),
}
_ON_WORDS = {"1": True, "true": True, "0": False, "-1": False, "false": False}
_ROW = np.dtype([("t", np.int64), ("x", np.int64), ("y", np.int64), ("on", "U6")])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a line holds t, x, y and on, and the sensor's size where the head line tells it."""

    separator: str
    has_header: bool
    columns: tuple[int, int, int, int]
    geometry: GridGeometry | None = None


def find_layout(first_line: str) -> Layout | None:
    """The layout that a file's first line shows; None where it is no line of events or names."""
    separator = max(_SEPARATORS, key=first_line.count)
    cells = [cell.strip() for cell in first_line.split(separator)]
    if len(cells) < len(_NAMES):
        return None
    if all(cell.lstrip("-").isdecimal() for cell in cells):
        return Layout(separator, has_header=False, columns=(0, 1, 2, 3))
    names = [cell.partition("@")[0].lower().lstrip("#% ") for cell in cells]
    places = []
    for known in _NAMES.values():
        found = [place for place, name in enumerate(names) if name in known]
        if len(found) != 1:
            return None
        places.append(found[0])
    t, x, y, on = places
    # faery writes the size of the sensor into the head line, as in x@640, y@480.
    width, height = (cells[place].partition("@")[2] for place in (x, y))
    stated = width.isdecimal() and height.isdecimal()
    grid = GridGeometry(int(width), int(height)) if stated else None
    return Layout(separator, has_header=True, columns=(t, x, y, on), geometry=grid)


def decode_csv(text: str, layout: Layout) -> Columns:
    """The events in `text`, in the order of its lines; blank lines are passed over.

    Raises:
        ValueError: a line has too few cells, no whole numbers, an address outside 0 to 65535 or
            a polarity other than 1/0, 1/-1 and true/false.
    """
    lines = [line for line in text.splitlines() if line.strip()][layout.has_header :]
    if not lines:
        return no_events()
    rows = np.loadtxt(
        lines, _ROW, comments=None, delimiter=layout.separator, usecols=layout.columns, ndmin=1
    )
    for name in ("x", "y"):
        wrong = rows[name][(rows[name] < 0) | (rows[name] > np.iinfo(np.uint16).max)]
        if len(wrong):
            raise ValueError(f"{name} is {wrong[0]}, expected 0 to {np.iinfo(np.uint16).max}")
    distinct, which = np.unique(rows["on"], return_inverse=True)
    words = distinct.tolist()
    known = [_ON_WORDS.get(word.strip().lower()) for word in words]
    if None in known:
        raise ValueError(f"on is {words[known.index(None)]!r}, expected 1/0, 1/-1 or true/false")
    return Columns(
        t_us=np.ascontiguousarray(rows["t"]),
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        on=np.array(known, np.bool_)[which],
    )


def _first_line(head: bytes) -> str:
    return head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip("\r")


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return find_layout(_first_line(head)) is not None


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    layout = find_layout(_first_line(head))
    if layout is None:
        raise RecordingError(
            f"{path} begins with {_first_line(head)[:60]!r}, expected a head line that names t, x, "
            "y and on, or four whole numbers in that order"
        )
    grid = geometry or layout.geometry
    if grid is None:
        raise RecordingError(
            f"{path} is CSV, which states no sensor size; give its geometry, as in "
            "geometry=GridGeometry(640, 480)"
        )
    return Opened(grid, partial(_decode, path, layout), may_go_back=True)


def _decode(path: Path, layout: Layout) -> Iterator[Columns]:
    try:
        yield decode_csv(path.read_text("utf-8-sig", "replace"), layout)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RecordingError(
            f"{path} has a line that is no event: {reason(error)}; times must be whole microseconds"
        ) from error


FORMAT = Format("CSV", (".csv", ".txt"), _sniff, of_grid(_open), write_csv)
