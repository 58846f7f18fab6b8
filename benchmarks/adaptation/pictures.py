"""Accuracy against the ratio, and where `auto` keeps its word, as pictures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import Any

from benchmarks.adaptation.rows import grouped
from benchmarks.adaptation.store import Result
from benchmarks.adaptation.verdicts import WITHIN_POINTS, Verdict
from retempo.exporters.files import write_atomically
from retempo.runtime.units import format_duration
from retempo.training.accuracy_plot import COLOURS

# Drawn first to last, so that `auto` lies above all others.
_COLOURS = {
    **COLOURS,
    "none, norm adapted": "#5a5a5a",
    "auto": "#009e73",
}
# Expectation equals integral to rounding: both are seen where it is dotted.
_DOTTED = {"expectation"}
_OTHER_COLOURS = ("#d55e00", "#cc79a7", "#8c564b", "#17becf", "#7f3c8d", "#e7298a", "#666633")
_STYLES = ("-", "--", ":", "-.")
_NAMED_RATIOS = {pi: "π", 1.5: "1.5", 2.5: "2.5"}
_DPI = 120


@dataclass(frozen=True, slots=True)
class Panel:
    """A diagram: rows to draw a line a way of, and `native`, networks trained at the target."""

    title: str
    results: Sequence[Result]
    native: Sequence[Result] = ()


def draw_panels(panels: Sequence[Panel], columns: int, path: Path) -> None:
    """Draw accuracy against the ratio, a line a way: the mean, and a band from lowest to highest.

    Raises:
        OSError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width = max(7.5, 4.3 * columns)
    figure = Figure(figsize=(width, 3.4 * rows + 0.9), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    lines: dict[str, Any] = {}
    styles = _styles(panels)
    for position, axes in enumerate(grid.flat):
        if position >= len(panels):
            axes.set_axis_off()
            continue
        panel = panels[position]
        _draw(axes, panel, styles, lines)
        if position % columns == 0:
            axes.set_ylabel("accuracy (%)")
        if position + columns >= len(panels):
            axes.set_xlabel("time step deployed at / time step trained at")
    widest = max(map(len, lines), default=1)
    figure.legend(
        lines.values(), lines.keys(), loc="outside lower center", frameon=False,
        ncols=max(1, min(6, int(width / (0.085 * widest + 0.75)))),
    )  # fmt: skip
    _save(figure, path)


def _styles(panels: Sequence[Panel]) -> dict[str, tuple[str, str]]:
    """A colour and a line a way; ways of one method share the colour."""
    ways = list(dict.fromkeys(r.way for panel in panels for r in panel.results))
    styles: dict[str, tuple[str, str]] = {}
    others = 0
    for way in ways:
        method = way.partition(",")[0]
        if way in _COLOURS:
            styles[way] = (_COLOURS[way], ":" if way in _DOTTED else "-")
        elif method in _COLOURS:
            siblings = [w for w in ways if w.startswith(f"{method},") and w not in _COLOURS]
            styles[way] = (_COLOURS[method], _STYLES[siblings.index(way) % len(_STYLES)])
        else:
            styles[way] = (_OTHER_COLOURS[others % len(_OTHER_COLOURS)], "--")
            others += 1
    return styles


def _draw(
    axes: Any, panel: Panel, styles: dict[str, tuple[str, str]], lines: dict[str, Any]
) -> None:
    home = [r for r in panel.results if r.dt_us == r.source_us]
    for way, rows in grouped(panel.results, lambda r: r.way).items():
        points = grouped(rows, lambda r: r.ratio)
        # At its own time step every method is the source network; every input is, too.
        if home:
            points.setdefault(1.0, home)
        ratios = sorted(points)
        if len(ratios) < 2:
            continue
        percents = [[r.percent for r in points[ratio]] for ratio in ratios]
        colour, style = styles[way]
        (line,) = axes.plot(
            ratios,
            [sum(each) / len(each) for each in percents],
            color=colour,
            linestyle=style,
            marker="o",
            markersize=3.5,
            linewidth=2.4 if way == "auto" else 1.4,
            zorder=4 if way == "auto" else 3,
        )
        axes.fill_between(
            ratios, [min(each) for each in percents], [max(each) for each in percents],
            color=colour, alpha=0.15, linewidth=0,
        )  # fmt: skip
        lines.setdefault(way, line)
    _draw_native(axes, panel, lines)
    ratios = [r.ratio for r in panel.results]
    axes.set_xscale("log")
    named = [r for r in (0.01, 0.1, 0.5, 1, 2, 10, 100) if min(ratios) <= r <= max(ratios)]
    axes.set_xticks(named, [ratio_name(ratio) for ratio in named])
    axes.minorticks_off()
    axes.set_ylim(0, 102)
    axes.axvline(1.0, color="#444444", linestyle=":", linewidth=1)
    axes.grid(alpha=0.25)
    axes.set_title(panel.title, fontsize=10)


def _draw_native(axes: Any, panel: Panel, lines: dict[str, Any]) -> None:
    if not panel.native or not panel.results:
        return
    source_us = panel.results[0].source_us
    points = grouped(panel.native, lambda r: r.dt_us)
    ratios = [dt_us / source_us for dt_us in points]
    means = [sum(r.percent for r in rows) / len(rows) for rows in points.values()]
    marks = axes.scatter(ratios, means, marker="x", s=42, color="black", zorder=5, linewidths=1.6)
    lines.setdefault("trained at the target", marks)


def draw_verdicts(verdicts: Sequence[Verdict], path: Path) -> None:
    """Draw `auto` minus its bound, a square a source and target: blue keeps the target, red not.

    Raises:
        OSError: the picture cannot be written.
    """
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure

    sides = [
        ("coarse to fine,\nagainst the network at home", [v for v in verdicts if v.ratio < 1]),
        ("fine to coarse,\nagainst one trained there", [v for v in verdicts if v.ratio > 1]),
    ]  # fmt: skip
    sides = [(title, side) for title, side in sides if side]
    names = list(dict.fromkeys(_source_name(v) for v in verdicts))
    counts = [len({ratio_name(v.ratio) for v in side}) for _, side in sides]
    widths = [max(3, count) for count in counts]
    figure = Figure(
        figsize=(2.2 + 0.68 * sum(widths), 2.3 + 0.42 * len(names)), layout="constrained"
    )
    grid = figure.subplots(1, len(sides), squeeze=False, sharey=True, width_ratios=widths)
    norm = TwoSlopeNorm(vmin=-12.0, vcenter=-WITHIN_POINTS, vmax=6.0)
    for axes, (title, side) in zip(grid.flat, sides, strict=True):
        ratios = sorted({ratio_name(v.ratio): v.ratio for v in side}.items(), key=lambda p: p[1])
        columns = [name for name, _ in ratios]
        table = [[float("nan")] * len(columns) for _ in names]
        for v in side:
            row, column = names.index(_source_name(v)), columns.index(ratio_name(v.ratio))
            table[row][column] = v.points
            strong = abs(v.points + WITHIN_POINTS) > 6.0
            axes.text(
                column, row, f"{v.points:+.1f}", ha="center", va="center", fontsize=8,
                color="white" if strong else "black", fontweight="normal" if v.kept else "bold",
            )  # fmt: skip
        axes.imshow(table, cmap="RdBu", norm=norm, aspect="auto")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(names)), names)
        wanted = [v for v in side if v.wanted]
        kept = f"{sum(v.kept for v in wanted)} of {len(wanted)} within {WITHIN_POINTS:g} point"
        limit = "" if len(wanted) == len(side) else " up to a ratio of 10"
        axes.set_title(f"{title}\n{kept}{limit}", fontsize=9)
    figure.suptitle("auto: points of accuracy above its bound", fontsize=10)
    figure.supxlabel("time step deployed at / time step trained at", fontsize=9)
    _save(figure, path)


def ratio_name(ratio: float) -> str:
    """Return `1/10`, `2.5` or `1/π`; a target is rounded to whole microseconds."""
    finer = ratio < 1.0
    size = 1.0 / ratio if finer else ratio
    nearest = round(size)
    name = f"{nearest}" if abs(size / nearest - 1.0) < 2e-3 else f"{size:.3g}"
    for known, text in _NAMED_RATIOS.items():
        if abs(size / known - 1.0) < 2e-3:
            name = text
    return f"1/{name}" if finer and name != "1" else name


def _source_name(verdict: Verdict) -> str:
    return f"{verdict.neuron}, {format_duration(verdict.source_us)}"


def _save(figure: Any, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DPI)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
