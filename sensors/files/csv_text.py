"""Text, one event a line: `t, x, y, on` in any order, or `t, channel`.

What the columns hold is told by the caller, by a line of names, or by the numbers themselves: see
`table_columns.layout_of_values`. Times are whole microseconds, or seconds where they have
fractions, unless a name states their unit, as `t_ns` does. Lines that begin with # or % are
comments. Events stay in the order of the lines, whatever their times.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from retempo.sensors.byte_decoder import Buffer, ByteDecoder, decode_file
from retempo.sensors.columns import AnyColumns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.csv_layout import (
    TextLayout,
    layout_of_text,
    plain_names,
    read_opening,
    stated_geometry,
)
from retempo.sensors.files.csv_lines import LINE_BYTES, read_lines
from retempo.sensors.files.format import Format, Opened, OpenRequest
from retempo.sensors.files.table_columns import layout_of_names
from retempo.sensors.files.table_geometry import table_geometry
from retempo.sensors.files.writers.csv_text import write_csv
from retempo.sensors.problems import both, problem

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# With fewer columns, numbers alone do not make a text one of events.
_PLAIN_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class TextState:
    """The bytes of an unfinished line, its number from 1, and whether it is too long to be held."""

    rest: bytes = b""
    line: int = 1
    skipping: bool = False


def text_decoder(layout: TextLayout) -> ByteDecoder[TextState]:
    """Return the decoder of text of this layout."""
    return ByteDecoder(TextState, partial(_feed, layout), partial(_finish, layout))


def _feed(layout: TextLayout, state: TextState, data: Buffer) -> tuple[TextState, AnyColumns]:
    ready, line = state.rest + bytes(data), state.line
    if state.skipping:
        end = ready.find(b"\n") + 1
        if end == 0:
            return state, read_lines(b"", line, layout)[0]
        ready, line = ready[end:], line + 1
    cut = ready.rfind(b"\n") + 1
    whole, rest = ready[:cut], ready[cut:]
    if line == 1 and whole.startswith(_BYTE_ORDER_MARK):
        whole = whole[len(_BYTE_ORDER_MARK) :]
    columns, lines = read_lines(whole, line, layout)
    line += lines
    if len(rest) <= LINE_BYTES:
        return TextState(rest, line), columns
    text = f"line {line} is longer than {LINE_BYTES} bytes ({rest[:60]!r})"
    problems = both(columns.problems, problem("line", text, len(columns)))
    return TextState(b"", line, skipping=True), replace(columns, problems=problems)


def _finish(layout: TextLayout, state: TextState) -> AnyColumns:
    last = state.rest + b"\n" if state.rest and not state.skipping else b""
    if state.line == 1:
        last = last.removeprefix(_BYTE_ORDER_MARK)
    return read_lines(last, state.line, layout)[0]


def _sniff(head: bytes, path: Path) -> bool:
    del path
    opening = read_opening(head)
    if opening is None:
        return False
    if opening.names:
        return layout_of_names(plain_names(opening.names)) is not None
    return len(opening.rows[0]) >= _PLAIN_COLUMNS


def _open(request: OpenRequest) -> Opened:
    path = request.path
    opening = read_opening(request.head)
    if opening is None:
        first = request.head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip("\r")
        raise RecordingError(
            f"{path} begins with {first[:60]!r}, expected a head line that names t, x, y and on, "
            "or t and channel, or lines of such numbers"
        )
    if request.part:
        raise RecordingError(
            f"{path} is one table, got the part {request.part!r}; to say what its columns hold, "
            f"write {path.name}#columns=x,y,t_us,on"
        )
    layout = layout_of_text(path, opening, request.columns, request.geometry)
    geometry = table_geometry(request, layout.columns, stated_geometry(opening))
    return Opened(geometry, partial(decode_file, path, text_decoder(layout)), may_go_back=True)


FORMAT = Format("CSV", (".csv", ".txt"), _sniff, _open, write_csv)
