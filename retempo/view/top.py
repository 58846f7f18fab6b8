"""A daemon at a glance: a table of its streams that fits the terminal, however narrow."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from retempo.runtime.scraped import Overview, Row

_LEAST_NAME, _MOST_NAME = 8, 32
_LATE_S, _STALE_S = 0.02, 1.5
_TROUBLE, _WARNING, _QUIET = "bold red", "yellow", "dim"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the lower its rank, the longer it stays as the terminal narrows."""

    title: str
    width: int
    rank: int
    cell: Callable[[Row], str]
    style: Callable[[Row], str] = lambda _row: ""
    right: bool = True


def _alarm(key: str, style: str) -> Callable[[Row], str]:
    return lambda row: style if getattr(row, key) else _QUIET


COLUMNS = (
    Column("label", 8, 7, lambda r: _plain(r.label) or "-", right=False),
    Column("ev/s", 6, 0, lambda r: count_text(r.events_per_s)),
    Column("dec/s", 6, 3, lambda r: count_text(r.decisions_per_s)),
    Column("dt", 6, 2, lambda r: time_text(r.dt_s or None)),
    Column("behind", 6, 1, lambda r: time_text(r.behind_s),
           lambda r: _WARNING if r.behind_s > _LATE_S else ""),
    Column("queue", 5, 6, lambda r: count_text(r.queued)),
    Column("shed", 5, 4, lambda r: count_text(r.shed), _alarm("shed", _TROUBLE)),
    Column("late", 5, 5, lambda r: count_text(r.late), _alarm("late", _WARNING)),
    Column("inval", 5, 8, lambda r: count_text(r.invalid), _alarm("invalid", _WARNING)),
    Column("mask", 5, 12, lambda r: count_text(r.masked), lambda _r: _QUIET),
    Column("lost", 5, 11, lambda r: count_text(r.lost), _alarm("lost", _TROUBLE)),
    Column("p50", 6, 10, lambda r: time_text(r.step_p50_s)),
    Column("p99", 6, 9, lambda r: time_text(r.step_p99_s)),
)  # fmt: skip


def columns_for(width: int) -> list[Column]:
    """Return the columns that fit beside the streams' names, in their order."""
    room, chosen = width - _LEAST_NAME, list[Column]()
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        room -= column.width + 1
        if room < 0:
            break
        chosen.append(column)
    return [column for column in COLUMNS if column in chosen]


def top_view(overview: Overview, width: int, height: int, note: str = "") -> Group:
    """Return what `retempo top` shows, at most `width` columns and `height` lines.

    Args:
        overview: the daemon between two looks.
        width: columns of the terminal.
        height: its lines; streams beyond them are counted in the last.
        note: a line at the top, such as that the daemon does not answer.
    """
    columns = columns_for(width)
    used = sum(column.width + 1 for column in columns)
    longest = max((len(row.stream) for row in overview.streams), default=0)
    name_width = max(1, min(width - used, max(_LEAST_NAME, min(longest, _MOST_NAME))))
    table = Table(box=None, padding=0, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("stream", width=name_width, no_wrap=True, overflow="ellipsis")
    for column in columns:
        table.add_column(
            " " + column.title if not column.right else column.title,
            width=column.width + 1,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    head = [Text(note, _TROUBLE)] if note else []
    head += _head(overview)
    fits = max(1, height - len(head) - 3)
    streams = overview.streams
    shown = streams if len(streams) <= fits else streams[: fits - 1]
    for row in shown:
        table.add_row(
            Text(_plain(row.stream)),
            *(
                Text(("" if c.right else " ") + c.cell(row), c.style(row), no_wrap=True)
                for c in columns
            ),
        )
    parts: list[Text | Table] = [*head, Text(""), table]
    if len(shown) < len(streams):
        parts.append(Text(f"and {len(streams) - len(shown)} more", _QUIET))
    for part in parts:
        if isinstance(part, Text):
            part.no_wrap = True
            part.truncate(max(1, width), overflow="ellipsis")
    return Group(*parts)


def _head(overview: Overview) -> list[Text]:
    whole = overview.whole
    first = Text.assemble(
        ("retempo ", "bold"),
        f"{_plain(overview.version)}  {_plain(overview.model)}  {overview.engine}, "
        f"{overview.policy}, "
        f"{time_text(whole.dt_s or None)}  up {span_text(overview.uptime_s)}  ",
        (f"busy {overview.busy:.0%}", _WARNING if overview.busy > 0.9 else ""),
    )
    second = Text.assemble(
        f"{len(overview.streams)} streams  {count_text(whole.events_per_s)} ev/s  "
        f"{count_text(whole.decisions_per_s)} dec/s  step p50 {time_text(whole.step_p50_s)} "
        f"p99 {time_text(whole.step_p99_s)}  ",
        _named("shed", whole.shed, _TROUBLE),
        _named("late", whole.late, _WARNING),
        _named("invalid", whole.invalid, _WARNING),
        _named("lost", whole.lost, _TROUBLE),
    )
    lines = [first, second]
    if overview.unaccounted:
        lines.append(Text(f"{overview.unaccounted} events are unaccounted for: report", _TROUBLE))
    if overview.age_s > _STALE_S:
        lines.append(Text(f"the loop has not turned for {overview.age_s:.0f} s", _TROUBLE))
    return lines


def _named(name: str, count: int, style: str) -> tuple[str, str]:
    return f"{name} {count_text(count)}  ", style if count else _QUIET


def _plain(text: str) -> str:
    """Return a name without what would steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def count_text(value: float) -> str:
    """Return a number in at most five characters: `999`, `12.3k`, `1.24M`."""
    if value < 999.5:
        return f"{value:.0f}"
    for unit in "kMGT":
        value /= 1_000
        if value < 999.5:
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f}{unit}"
    return "lots"


def time_text(seconds: float | None) -> str:
    """Return a short time in at most six characters: `27us`, `1.5ms`, `2.0s`; `-` for none."""
    if seconds is None:
        return "-"
    if seconds < 999.5e-6:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 0.9995:
        ms = (
            f"{seconds * 1e3:.1f}".removesuffix(".0")
            if seconds < 0.09995
            else f"{seconds * 1e3:.0f}"
        )
        return f"{ms}ms"
    return f"{seconds:.1f}s" if seconds < 999 else span_text(seconds)


def span_text(seconds: float) -> str:
    """Return a long time by its two largest units: `3d 4h`, `12min 5s`."""
    whole = int(seconds)
    for unit, size, less, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part}{less}"
    return f"{whole // 60}min {whole % 60}s" if whole >= 60 else f"{whole}s"
