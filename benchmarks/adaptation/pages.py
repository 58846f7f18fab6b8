"""The pages of the studies: Markdown from what was found."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import msgspec

from benchmarks.adaptation import pictures, tables
from benchmarks.adaptation.jobs import Evaluate, Job, Train
from benchmarks.adaptation.pictures import Panel
from benchmarks.adaptation.plan import MOST_STEPS, Table, left_out
from benchmarks.adaptation.rows import Found, grouped
from benchmarks.adaptation.store import BATCH, Result
from benchmarks.adaptation.studies.study import Study
from benchmarks.adaptation.verdicts import WITHIN_POINTS, Verdict, ranks, verdicts
from retempo.runtime.units import format_duration

_PRESETS = "../../configs"


def page_name(study: Study) -> str:
    """Return the name that a study's files share."""
    return f"adaptation-{study.name}"


def table_page(study: Study, table: Table, found: Found, command: str, out: Path) -> str:
    """Draw the pictures of a table of sources and targets, and return its page."""
    name, results = page_name(study), found.evaluated
    main = [r for r in results if r.neuron in table.neurons]
    sources = table.source_steps_us
    judged = verdicts(main)
    parts = [_head(study, found, command), _cautions(results), _missing(found.missing)]
    if table.changes:
        changed = ", ".join(f"{key} = {value}" for key, value in table.changes)
        parts.append(f"Changed from the preset: {changed}.")
    panels = [
        Panel(f"{neuron}, trained at {format_duration(source_us)}", chosen, _native(main, neuron))
        for neuron in table.neurons
        for source_us in sources
        if len(chosen := _source(main, neuron, source_us)) > 1
    ]
    if panels:
        columns = len(sources) if len(sources) > 1 else len(table.neurons)
        pictures.draw_panels(panels, columns, out / f"{name}.png")
        parts.append(
            f"![accuracy against the ratio of the time steps]({name}.png)\n\n"
            "Mean of the seeds, and a band from the lowest to the highest."
        )
    if judged:
        pictures.draw_verdicts(judged, out / f"{name}-auto.png")
        parts += _judgement(judged, f"{name}-auto.png")
    parts += ["## How the methods rank", _RANKS, tables.rank_table(ranks(main))]
    parts += _sources(table, found, main)
    parts += _other_neurons(table, found, sources[0], out / f"{name}-neurons.png")
    parts += ["## The networks", tables.networks(found)]
    return _joined(parts)


def small_page(study: Study, found: Found, command: str, out: Path) -> str:
    """Draw the picture of a small study, and return its page."""
    name, results = page_name(study), found.evaluated
    parts = [_head(study, found, command), _cautions(results), _missing(found.missing)]
    groups = grouped(results, lambda r: (r.data, "" if study.folds else r.variant))
    panels = [panel for rows in groups.values() for panel in _small_panels(study, rows)]
    if panels:
        columns = 4 if len(panels) in (4, 7, 8) else 3
        pictures.draw_panels(panels, columns, out / f"{name}.png")
        parts.append(f"![accuracy against the ratio of the time steps]({name}.png)")
    for (data, variant), rows in groups.items():
        parts.append(f"## {data}" + (f", {variant}" if variant else ""))
        parts.append(tables.by_target(rows))
        if study.show_seconds:
            parts += ["Seconds for all test recordings:", tables.seconds_by_target(rows)]
    parts += ["## The networks", tables.networks(found)]
    return _joined(parts)


def _small_panels(study: Study, rows: Sequence[Result]) -> list[Panel]:
    """One panel, or one a method where a study is of what accompanies the methods."""
    if len({r.dt_us for r in rows}) < 2:
        return []
    title = ", ".join(name for name in (rows[0].data, rows[0].variant) if name)
    if study.folds:
        title = rows[0].data
    if not study.panel_a_method:
        return [Panel(title, rows)]
    at_home = [r for r in rows if r.dt_us == r.source_us]
    away = grouped((r for r in rows if r.dt_us != r.source_us), lambda r: r.way.partition(", ")[0])
    return [
        Panel(
            f"{title}, {method}",
            [*at_home, *(msgspec.structs.replace(r, way=r.way.partition(", ")[2]) for r in chosen)],
        )
        for method, chosen in away.items()
    ]


_RANKS = (
    "In how many settings (neuron, source, target, up to a ratio of 10) the mean accuracy of the "
    "first is at least that of the second, and by how many points on average. The paper "
    "(arXiv 2411.04760) finds Integral and Expectation above Euler, and all above scaled time "
    "constants (`tau`)."
)


def _judgement(judged: Sequence[Verdict], picture: str) -> list[str]:
    sides = (
        ([v for v in judged if v.ratio < 1.0], "the source network at home"),
        ([v for v in judged if v.wanted and v.ratio > 1.0], "a network trained there"),
        ([v for v in judged if not v.wanted], "a network trained there, beyond a ratio of 10"),
    )
    lines = []
    for side, against in sides:
        if side:
            kept, worst = sum(v.kept for v in side), min(side, key=lambda v: v.points)
            way = f"from {format_duration(worst.source_us)} to {format_duration(worst.dt_us)}"
            lines.append(
                f"- {kept} of {len(side)} within {WITHIN_POINTS:g} point of {against}; the worst "
                f"is {worst.points:+.1f} points: {worst.neuron} {way}."
            )
    parts = [
        "## Does `auto` keep its word?",
        "\n".join(lines),
        f"![auto minus its bound]({picture})",
    ]
    if any(not v.kept for v in judged):
        parts += ["Missed by most:", tables.verdict_table(judged)]
    return parts


def _sources(table: Table, found: Found, main: Sequence[Result]) -> list[str]:
    parts = ["## Every source and target", _READING]
    omitted = left_out(table)
    if omitted:
        named = ", ".join(f"{format_duration(s)} to {format_duration(t)}" for s, t in omitted)
        parts.append(f"Left out, for over {MOST_STEPS:,} steps an evaluation: {named}.")
    for neuron in table.neurons:
        for source_us in table.source_steps_us:
            every = [r for r in found.results if _is_of(r, neuron, source_us)]
            if every:
                parts.append(f"### {neuron}, trained at {format_duration(source_us)}")
                parts.append(tables.by_target(every, _native(main, neuron)))
    return parts


_READING = (
    "Accuracy in %, mean of the seeds (lowest to highest). `auto` is `lag` below the network's own "
    "time step and `substep` above it. `-`: the way does not fit. Spikes and steps are those of "
    f"`auto`, {BATCH} recordings stepped together on one core, a step being a bin of one recording."
)


def _other_neurons(table: Table, found: Found, source_us: int, picture: Path) -> list[str]:
    panels, parts = [], []
    for neuron in table.other_neurons:
        rows = [r for r in found.results if _is_of(r, neuron, source_us)]
        if len(rows) > 1:
            panels.append(Panel(neuron, [r for r in rows if r.total and not r.reason]))
            parts += [f"### {neuron}, trained at {format_duration(source_us)}"]
            parts += [tables.by_target(rows)]
    if not panels:
        return []
    pictures.draw_panels(panels, 4, picture)
    return ["## Other neurons", f"![other neurons]({picture.name})", *parts]


def _source(results: Sequence[Result], neuron: str, source_us: int) -> list[Result]:
    return [r for r in results if _is_of(r, neuron, source_us)]


def _is_of(result: Result, neuron: str, source_us: int) -> bool:
    return result.neuron == neuron and result.source_us == source_us


def _native(results: Sequence[Result], neuron: str) -> list[Result]:
    """Networks at the time step that they were trained at."""
    return [r for r in results if r.neuron == neuron and r.dt_us == r.source_us and r.way == "none"]


def _head(study: Study, found: Found, command: str) -> str:
    presets = sorted({train.data.preset for train in found.trained})
    links = ", ".join(f"[{preset}]({_PRESETS}/{preset})" for preset in presets)
    counts = sorted({trained.recordings for trained in found.trained.values()})
    tested = sorted({r.total for r in found.evaluated})
    seeds = sorted({train.seed for train in found.trained})
    settings = (
        f"Presets: {links or 'none trained yet'}. Trained on {_listed(counts)} recordings, seeds "
        f"{_listed(seeds)}, one core a training; tested on {_listed(tested)} recordings, which are "
        "read for these tables alone: no preset was chosen by them."
    )
    parts = [f"# {study.title}", f"    {command}", study.question, study.paper, settings]
    if "--quick" in command:
        parts.append("**A quick look, not a result:** far fewer epochs than the preset's.")
    return _joined(parts).rstrip()


def _cautions(results: Sequence[Result]) -> str:
    totals = sorted({r.total for r in results})
    notes = [
        f"one of {total:,} recordings counts {100 / total:.2g}, and an accuracy of 95 % has "
        f"a standard error of {100 * sqrt(0.95 * 0.05 / total):.1f} points"
        for total in totals
    ]
    if not notes:
        return "Nothing is measured yet."
    return (
        f"Binomial uncertainty: {'; '.join(notes)}. Rows of one network are of the same "
        "recordings, so their differences are surer than that; those between networks are not."
    )


def _missing(missing: Sequence[Job]) -> str:
    if not missing:
        return "Nothing is missing: every job of the plan is in these tables."
    trains = [job for job in missing if isinstance(job, Train)]
    tests = sum(isinstance(job, Evaluate) for job in missing)
    named = ", ".join(train.name for train in trains[:12]) + (", ..." if len(trains) > 12 else "")
    return (
        f"**Missing:** {len(trains)} networks are not trained{f' ({named})' if named else ''} and "
        f"{tests} tests not done. The same command goes on with them."
    )


def _listed(values: Sequence[int]) -> str:
    return ", ".join(f"{value:,}" for value in values) or "no"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
