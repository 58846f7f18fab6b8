"""Lines of text: the compiled kernel agrees with its plain twin, however the text is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.byte_decoder import decode_pieces
from retempo.sensors.columns import Columns, arrays_of, join
from retempo.sensors.files.csv_layout import TextLayout
from retempo.sensors.files.csv_lines import LINE_BYTES, LineError, read_line, read_lines
from retempo.sensors.files.csv_text import text_decoder
from retempo.sensors.files.table_columns import Layout, Role, Unit
from retempo.sensors.problems import total

ORDERS: list[tuple[Role, ...]] = [
    ("t", "x", "y", "on"),
    ("x", "y", "on", "t"),
    ("x", "", "y", "t", "on"),
    ("t", "channel"),
    ("channel", "", "t"),
]
DIGITS = st.text("0123456789", min_size=1, max_size=24)
NUMBER = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "-", "+"]),
    DIGITS,
    st.one_of(
        st.just(""), st.just(""), st.builds(".{}".format, st.text("0123456789", max_size=22))
    ),
    st.one_of(
        st.just(""),
        st.just(""),
        st.builds("e{}".format, st.integers(-30, 30)),
        st.builds("E+{}".format, st.integers(0, 200_000)),
        st.builds("e-{}".format, st.integers(0, 200_000)),
    ),
)
CELL = st.one_of(
    st.integers(0, 70_000).map(str),
    st.sampled_from(["0", "1", "-1", "1.0", "0.0", "true", "False", "TRUE", "2", "tru", "falsey"]),
    st.sampled_from(["", ".", ".5", "5.", "1e", "e5", "--1", "1.2.3", "nan", "inf", "1_0", "0x1"]),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "-9223372036854775808"]),
    st.sampled_from(["0.0000005", "0.0000015", "-0.0000005", "0.4999999999999999999999999"]),
    NUMBER,
)
UNITS: list[Unit] = ["s", "ms", "us", "ns"]
LAYOUT = st.builds(
    TextLayout,
    st.sampled_from([",", ";", "\t", " "]),
    st.builds(Layout, st.sampled_from(ORDERS), st.sampled_from(UNITS)),
    st.booleans(),
)


@st.composite
def texts(draw: st.DrawFn) -> tuple[TextLayout, list[str]]:
    layout = draw(LAYOUT)
    blank = st.sampled_from(["", "", " ", "\t", "\r"])
    joint = layout.separator
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            lines.append(draw(st.sampled_from(["", "  ", "# a,b", "%1,2,3,4", "\r", "x", ",,,"])))
            continue
        cells = draw(st.lists(CELL, min_size=1, max_size=6))
        if kind > 3:
            good = {"t": "12", "x": "3", "y": "4", "on": "1", "channel": "9", "": "z"}
            cells = [good[role] for role in layout.columns.roles]
            cells[draw(st.integers(0, len(cells) - 1))] = draw(CELL)
        lines.append(joint.join(draw(blank) + cell + draw(blank) for cell in cells))
    return layout, lines


def plainly(lines: list[str], layout: TextLayout) -> tuple[list[tuple[int, ...]], dict[str, int]]:
    rows: list[tuple[int, ...]] = []
    counts: dict[str, int] = {}
    for line in lines:
        try:
            row = read_line(line, layout)
        except LineError as error:
            counts[error.kind] = counts.get(error.kind, 0) + 1
            continue
        if row is not None:
            t_us, x, y, on = row
            rows.append((t_us, x) if layout.columns.channels else (t_us, x, y, int(on)))
    return rows, counts


@given(texts(), st.integers(1, 40), st.booleans())
def test_the_kernel_reads_what_its_plain_twin_reads_however_the_text_is_cut(
    text: tuple[TextLayout, list[str]], size: int, ends: bool
) -> None:
    layout, lines = text
    data = "\n".join(lines).encode() + (b"\n" if ends else b"")
    rows, counts = plainly(lines, layout)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    read = list(decode_pieces(text_decoder(layout), pieces))
    columns = [column.tolist() for column in arrays_of(join(read)).values()]
    assert list(zip(*columns, strict=True)) == [tuple(row) for row in rows]
    assert total([piece.problems.counts for piece in read]) == counts


def test_the_first_bad_line_is_told_by_its_number_and_in_the_twins_words() -> None:
    layout = TextLayout(",", Layout(("t", "x", "y", "on"), "us"), whole=True)
    text = b"5,1,2,1\n\n6,1,2,0\n7.5,1,2,0\n8,-1,2,0\n9,1,2,1\n"
    columns, lines = read_lines(text, 100, layout)
    assert lines == 6
    assert columns.t_us.tolist() == [5, 6, 9]
    assert columns.problems.counts == {"time": 1, "address": 1}
    assert (columns.problems.kind, columns.problems.kept) == ("time", 2)
    assert columns.problems.text == (
        "line 103 has t = 7.5, expected whole ones as elsewhere ('7.5,1,2,0')"
    )


@pytest.mark.parametrize("size", [1 << 20, 4_096, 1_000])
def test_a_line_without_an_end_is_one_bad_line_and_is_never_held_whole(size: int) -> None:
    layout = TextLayout(",", Layout(("t", "x", "y", "on"), "us"), whole=True)
    longest = b"6,1,2,1," + b"z" * (LINE_BYTES - 8)
    data = b"5,1,2,1\n" + b"7" * 300_000 + b"\n" + longest + b"\n" + longest + b"z\n8,1,2,1"
    decoder = text_decoder(layout)
    state, read = decoder.start(), []
    for start in range(0, len(data), size):
        state, columns = decoder.feed(state, data[start : start + size])
        assert len(state.rest) <= LINE_BYTES
        read.append(columns)
    read.append(decoder.finish(state))
    joined = join([each for each in read if isinstance(each, Columns)])
    assert joined.t_us.tolist() == [5, 6, 8]
    assert joined.problems.counts == {"line": 2}
    assert joined.problems.text.startswith("line 2 is longer than 16384 bytes")
    assert joined.problems.kept == 1


@given(st.lists(st.integers(-(2**52), 2**52), max_size=20))
def test_seconds_with_nine_decimals_and_numpys_own_notation_are_read_to_the_microsecond(
    times_us: list[int],
) -> None:
    layout = TextLayout(" ", Layout(("t", "x", "y", "on"), "s"), whole=False)
    plain = "".join(f"{t / 1e6:.9f} 3 4 1\n" for t in times_us if abs(t) < 2**43)
    columns, _ = read_lines(plain.encode(), 1, layout)
    assert columns.t_us.tolist() == [t for t in times_us if abs(t) < 2**43]
    micro = TextLayout(" ", Layout(("t", "x", "y", "on"), "us"), whole=True)
    numpys = "".join(f"{float(t):.18e} {3.0:.18e} {4.0:.18e} {1.0:.18e}\n" for t in times_us)
    columns, _ = read_lines(numpys.encode(), 1, micro)
    assert columns.t_us.tolist() == times_us
    assert not columns.problems
    assert isinstance(columns, Columns)
    assert np.array_equal(columns.x, [3] * len(times_us))
