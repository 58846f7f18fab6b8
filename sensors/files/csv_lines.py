"""Lines of text to events: the compiled kernel, and its plain twin, which reads one line.

Numbers are read exactly: up to 19 digits and a power of ten, no floating point.
"""

import re
from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns, ChannelColumns, Columns
from retempo.sensors.files.csv_layout import COMMENTS, NUMBER, TextLayout, split_line
from retempo.sensors.files.csv_numbers import LATEST, MOST_EXPONENT, digits, scaled, word
from retempo.sensors.files.table_columns import Unit
from retempo.sensors.problems import NO_PROBLEMS, Problems

# A line with more bytes is no event, and is never held whole.
LINE_BYTES = 16_384
# Time, x, y and polarity of an event; time and channel of another.
Row = tuple[int, int, int, bool]

_KINDS = ("line", "time", "address", "polarity")
_LINE, _TIME, _ADDRESS, _POLARITY = range(4)
_ROLES = ("", "t", "x", "y", "on", "channel")
_T, _X, _Y, _ON, _CHANNEL = range(1, 6)
_POWERS: dict[Unit, int] = {"s": 6, "ms": 3, "us": 0, "ns": -3}
_LAST_ADDRESS = (1 << 16) - 1
_EXPONENT = re.compile(r"[eE]([+-]?\d+)$", re.ASCII)


class LineError(ValueError):
    """A line that is no event; its text says why, `kind` of which kind it is."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def read_line(line: str, layout: TextLayout) -> Row | None:
    """Return the event of one line, None where it is blank or a comment: the kernel's twin.

    Channels take the place of x.

    Raises:
        LineError: the line is no event.
    """
    if len(line.encode()) > LINE_BYTES:
        raise LineError("line", f"is longer than {LINE_BYTES} bytes")
    text = line.strip(" \t\r")
    if not text or text.startswith(COMMENTS):
        return None
    cells = split_line(text, layout.separator)
    roles = layout.columns.roles
    t_us = x = y = 0
    on = False
    for place, role in enumerate(roles):
        if place >= len(cells):
            raise LineError("line", f"has {len(cells)} cells, expected {len(roles)}")
        cell = cells[place]
        number = _number(cell)
        if role == "on":
            on = _polarity(cell, number)
        elif role and number is None:
            raise LineError("line", f"has {role} = {cell[:40]!r}, expected a number")
        elif role == "t":
            t_us = _time(cell, number or Fraction(0), layout)
        elif role == "y":
            y = _address(role, cell, number or Fraction(0))
        elif role:
            x = _address(role, cell, number or Fraction(0))
    return t_us, x, y, on


def _number(cell: str) -> Fraction | None:
    if not NUMBER.fullmatch(cell):
        return None
    stated = _EXPONENT.search(cell)
    if stated is None:
        return Fraction(cell)
    given = stated[1].lstrip("+-").lstrip("0")
    exponent = MOST_EXPONENT if len(given) > len(str(MOST_EXPONENT)) else int(given or 0)
    mantissa = Fraction(cell[: stated.start()])
    power = Fraction(10) ** exponent
    return mantissa / power if stated[1].startswith("-") else mantissa * power


def _time(cell: str, number: Fraction, layout: TextLayout) -> int:
    scaled = number * Fraction(10) ** _POWERS[layout.columns.unit or "us"]
    if layout.whole and scaled.denominator != 1:
        raise LineError("time", f"has t = {cell[:40]}, expected whole ones as elsewhere")
    t_us = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    if abs(t_us) > LATEST:
        raise LineError("time", f"has t = {cell[:40]}, expected microseconds within 63 bits")
    return t_us


def _address(role: str, cell: str, number: Fraction) -> int:
    if number.denominator != 1 or not 0 <= number <= _LAST_ADDRESS:
        raise LineError(
            "address",
            f"has {role} = {cell[:40]}, expected a whole number from 0 to {_LAST_ADDRESS}",
        )
    return number.numerator


def _polarity(cell: str, number: Fraction | None) -> bool:
    if number is None and cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    if number is None or number not in (0, 1, -1):
        raise LineError("polarity", f"has on = {cell[:40]!r}, expected 1/0, 1/-1 or true/false")
    return number == 1


def read_lines(text: bytes, first_line: int, layout: TextLayout) -> tuple[AnyColumns, int]:
    """Return the events of whole lines with what was wrong, and how many lines they are.

    Args:
        text: lines, each with its end.
        first_line: the number of the first one, from 1.
        layout: what their cells hold.
    """
    data = np.frombuffer(text, np.uint8)
    room = int(np.count_nonzero(data == ord("\n")))
    t_us, x, y = np.empty(room, np.int64), np.empty(room, np.uint16), np.empty(room, np.uint16)
    on = np.empty(room, np.bool_)
    counts, first = np.zeros(len(_KINDS), np.int64), np.zeros(4, np.int64)
    roles = np.array([_ROLES.index(role) for role in layout.columns.roles], np.int64)
    events = _parse(
        data,
        roles,
        ord(layout.separator),
        _POWERS[layout.columns.unit or "us"],
        layout.whole,
        layout.names_line - first_line,
        t_us,
        x,
        y,
        on,
        counts,
        first,
    )
    problems = _problems(text, first_line, layout, counts, first) if counts.any() else NO_PROBLEMS
    if layout.columns.channels:
        return ChannelColumns(t_us[:events], x[:events], problems), room
    return Columns(t_us[:events], x[:events], y[:events], on[:events], problems), room


def _problems(
    text: bytes,
    first_line: int,
    layout: TextLayout,
    counts: NDArray[np.int64],
    first: NDArray[np.int64],
) -> Problems:
    """Return the counts by kind, and in the twin's words what is wrong with the first line."""
    start, stop, number, kept = (int(value) for value in first)
    line = text[start:stop].decode("utf-8", "replace")
    kind, why = _KINDS[int(counts.argmax())], "is no event"
    try:
        read_line(line, layout)
    except LineError as fault:
        kind, why = fault.kind, str(fault)
    # A number of so many digits that Python does not convert it.
    except ValueError:
        pass
    found = {name: int(count) for name, count in zip(_KINDS, counts, strict=True) if count}
    said = f"line {first_line + number} {why} ({line.strip()[:60]!r})"
    return Problems(found, kind, said, kept)


@njit(cache=True, nogil=True)
def _parse(
    data: NDArray[np.uint8],
    roles: NDArray[np.int64],
    separator: int,
    power: int,
    whole: bool,
    names_line: int,
    t_us: NDArray[np.int64],
    x: NDArray[np.uint16],
    y: NDArray[np.uint16],
    on: NDArray[np.bool_],
    counts: NDArray[np.int64],
    first: NDArray[np.int64],
) -> int:
    events = 0
    start = 0
    line = -1
    faults = 0
    size = len(data)
    while start < size:
        stop = start
        while data[stop] != 10:
            stop += 1
        line += 1
        fault = -1
        a, b = start, stop
        while a < b and _blank(data[a]):
            a += 1
        while b > a and _blank(data[b - 1]):
            b -= 1
        if stop - start > LINE_BYTES:
            fault = _LINE
        elif line == names_line or a == b or data[a] == 35 or data[a] == 37:
            start = stop + 1
            continue
        for place in range(len(roles)):
            if fault >= 0:
                break
            if a > b:
                fault = _LINE
                break
            end = a
            while end < b and not (data[end] == separator or (separator == 32 and data[end] == 9)):
                end += 1
            role = roles[place]
            c, d = a, end
            while c < d and _blank(data[c]):
                c += 1
            while d > c and _blank(data[d - 1]):
                d -= 1
            a = end + 1
            if separator == 32:
                while a < b and _blank(data[a]):
                    a += 1
            if role == 0:
                continue
            is_number, negative, mantissa, exponent, lost = digits(data, c, d)
            if role == _ON:
                value = word(data, c, d)
                if is_number:
                    fits, exact, value, _ = scaled(mantissa, exponent, lost)
                    if not fits or not exact or value > 1:
                        value = -1
                    elif negative:
                        value = 0
                if value < 0:
                    fault = _POLARITY
                on[events] = value == 1
                continue
            if not is_number:
                fault = _LINE
                continue
            if role == _T:
                fits, exact, value, half = scaled(mantissa, exponent + power, lost)
                # Halves go up, which is towards zero below it.
                if half == 2 or (half == 1 and not negative):
                    fits = fits and value < LATEST
                    value += 1
                if not fits or (whole and not exact):
                    fault = _TIME
                t_us[events] = -value if negative else value
            else:
                fits, exact, value, _ = scaled(mantissa, exponent, lost)
                if not fits or not exact or value > _LAST_ADDRESS or (negative and value > 0):
                    fault = _ADDRESS
                    value = 0
                if role == _Y:
                    y[events] = value
                else:
                    x[events] = value
        if fault < 0:
            events += 1
        else:
            if faults == 0:
                first[0], first[1], first[2], first[3] = start, stop, line, events
            faults += 1
            counts[fault] += 1
        start = stop + 1
    return events


@njit(cache=True, nogil=True)
def _blank(byte: int) -> bool:
    return byte == 32 or byte == 9 or byte == 13
