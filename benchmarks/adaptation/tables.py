"""Results as Markdown tables and as CSV."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence

from benchmarks.adaptation.pictures import ratio_name
from benchmarks.adaptation.rows import Found, grouped, homes, spread
from benchmarks.adaptation.store import Result
from benchmarks.adaptation.verdicts import Rank, Verdict
from retempo.runtime.units import format_duration

_CSV_COLUMNS = (
    "data", "neuron", "variant", "source_us", "dt_us", "ratio", "seed", "way", "correct", "total",
    "spike_rate_hz", "steps", "steps_a_second", "wall_s", "training_s", "adapt_ms", "reason",
)  # fmt: skip

_MOST_MISSED = 12


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def csv_text(results: Sequence[Result]) -> str:
    """Return every result as a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for r in results:
        values = {
            **{name: getattr(r, name) for name in _CSV_COLUMNS if hasattr(r, name)},
            "ratio": f"{r.ratio:.6g}",
            "steps_a_second": f"{r.steps / r.wall_s:.0f}" if r.wall_s else "",
            "spike_rate_hz": f"{r.spike_rate_hz:.3f}",
            "wall_s": f"{r.wall_s:.3f}",
            "training_s": f"{r.training_s:.1f}",
            "adapt_ms": f"{r.adapt_ms:.3f}" if r.adapt_ms else "",
        }
        writer.writerow([values[name] for name in _CSV_COLUMNS])
    return text.getvalue()


def by_target(results: Sequence[Result], native: Sequence[Result] = ()) -> str:
    """Return one source: a row a target, a column a way, with the steps and spikes of `auto`."""
    ways = list(dict.fromkeys(r.way for r in results if r.dt_us != r.source_us))
    at_home = [r for r in results if r.dt_us == r.source_us]
    bounds = grouped(native, lambda r: r.dt_us)
    heads = ["time step", "ratio", *ways]
    heads += ["trained there"] if native else []
    heads += ["spikes a neuron and second", "steps a second"]
    rows = []
    targets = grouped(results, lambda r: r.dt_us)
    for dt_us in sorted(targets):
        here = targets[dt_us]
        home = dt_us == here[0].source_us
        by_way = grouped(here, lambda r: r.way)
        cells = [f"**{spread(at_home)}**" if home else _cell(by_way.get(way, [])) for way in ways]
        if native:
            cells.append(spread(at_home) if home else spread(bounds.get(dt_us, [])))
        costed = at_home if home else by_way.get("auto", here)
        ratio = f"**{ratio_name(here[0].ratio)}**" if home else ratio_name(here[0].ratio)
        rows.append([format_duration(dt_us), ratio, *cells, *_cost(costed)])
    return markdown(heads, rows)


def seconds_by_target(results: Sequence[Result]) -> str:
    """Return one source: how many seconds each way takes for all test recordings."""
    ways = list(dict.fromkeys(r.way for r in results))
    rows = []
    for dt_us, here in sorted(grouped(results, lambda r: r.dt_us).items()):
        by_way = grouped(here, lambda r: r.way)
        cells = [
            f"{statistics.median(r.wall_s for r in by_way[way]):.2f}" if way in by_way else ""
            for way in ways
        ]
        rows.append([format_duration(dt_us), *cells])
    return markdown(["time step", *ways], rows)


def networks(found: Found) -> str:
    """Return the trained networks: accuracy at home, spikes, and the time of the training."""
    at_home = homes(found.evaluated)
    rows = []
    for (_, neuron, variant, dt_us), here in sorted(at_home.items(), key=lambda item: item[0][1:]):
        training_s = statistics.median(r.training_s for r in here)
        name = f"{neuron}, {variant}" if variant else neuron
        rows.append([
            name, format_duration(dt_us), str(len(here)), spread(here), _cost(here)[0],
            f"{training_s:.0f}",
        ])  # fmt: skip
    heads = ("network", "trained at", "seeds", "accuracy (%)", "spikes a neuron and second",
             "training (s, one core)")  # fmt: skip
    return markdown(heads, rows)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Return the targets that `auto` misses by most; the picture shows them all."""
    missed = sorted((v for v in verdicts if not v.kept), key=lambda v: v.points)[:_MOST_MISSED]
    rows = [
        [v.neuron, format_duration(v.source_us), format_duration(v.dt_us), ratio_name(v.ratio),
         f"{v.points:+.1f}", str(v.seeds)]
        for v in missed
    ]  # fmt: skip
    heads = ("neuron", "trained at", "stepped at", "ratio", "points", "seeds")
    return markdown(heads, rows)


def rank_table(ranks: Sequence[Rank]) -> str:
    """Return how the methods rank, pair by pair."""
    rows = [
        [f"{rank.better} at least as good as {rank.worse}",
         "coarse to fine" if rank.finer else "fine to coarse",
         f"{rank.wins} of {rank.settings}", f"{rank.points:+.1f}"]
        for rank in ranks
    ]  # fmt: skip
    return markdown(("pair", "direction", "settings", "mean points"), rows)


def _cell(results: list[Result]) -> str:
    if any(r.reason for r in results):
        return "-"
    return spread(results)


def _cost(results: list[Result]) -> list[str]:
    measured = [r for r in results if r.total and not r.reason]
    if not measured:
        return ["", ""]
    rate_hz = statistics.fmean(r.spike_rate_hz for r in measured)
    paces = [r.steps / r.wall_s for r in measured if r.wall_s]
    return [f"{rate_hz:.1f}", f"{statistics.median(paces):,.0f}" if paces else ""]
