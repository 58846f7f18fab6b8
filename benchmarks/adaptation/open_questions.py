"""What the paper leaves open, and what the results say."""

import statistics
from collections.abc import Callable, Mapping

from benchmarks.adaptation.pictures import ratio_name
from benchmarks.adaptation.plan import BROKEN, EXTREME
from benchmarks.adaptation.rows import Found, grouped, homes, mean_percent
from benchmarks.adaptation.store import Result
from benchmarks.adaptation.tables import markdown
from benchmarks.adaptation.verdicts import verdicts

Findings = Mapping[str, Found]

_NOT_YET = "Not measured yet."
_TABLES = ("fsdd", "nmnist", "simulated", "shd", "nmnist-full")


def open_questions(findings: Findings, command: str) -> str:
    """Return the page: each question of the paper's outlook, the numbers, and where they stand."""
    questions: tuple[tuple[str, Callable[[Findings], str]], ...] = (
        ("Ratios of 20, 50 and 100", lambda f: _ratios(f, EXTREME)),
        ("Ratios that are no whole number", lambda f: _ratios(f, BROKEN)),
        ("Other bins, and adapting the input instead", lambda f: _small(f, "bin-modes")),
        ("Other neurons", _neurons),
        ("Other depths", lambda f: _small(f, "depth")),
        ("Other rules for the normalisation", lambda f: _small(f, "normalisation")),
        ("A speaker who was never heard", lambda f: _small(f, "speakers")),
        ("The cost of adapting against training", _cost),
    )
    parts = [f"# Open questions of the paper\n\n    {command}"]
    parts.append(
        "What arXiv 2411.04760 leaves open, and what was measured here. Points are those of "
        "accuracy, `auto` against the source network at home unless said otherwise."
    )
    for title, answer in questions:
        parts += [f"## {title}", answer(findings)]
    return "\n\n".join(parts) + "\n"


def _ratios(findings: Findings, sizes: tuple[float, ...]) -> str:
    """Every way at ratios far from one or between whole numbers, from each data set's coarsest."""
    rows, links = [], []
    finer: list[tuple[float, str]] = []
    coarser: list[tuple[float, str]] = []
    for study in _TABLES:
        if study not in findings:
            continue
        links.append(_link(study))
        results = findings[study].evaluated
        source_us = max((r.source_us for r in results if r.dt_us != r.source_us), default=0)
        for neuron in ("radlif", "adlif"):
            for size in sorted({*(1 / s for s in sizes), *sizes}):
                here = [
                    r
                    for r in results
                    if (r.neuron, r.source_us) == (neuron, source_us)
                    and abs(r.ratio / size - 1.0) < 2e-3
                ]
                if not here:
                    continue
                by_way = grouped(here, lambda r: r.way)
                cells = [_mean(by_way.get(way, [])) for way in _SHOWN]
                rows.append([study, neuron, ratio_name(size), *cells])
                at_home = homes(results).get((here[0].data, neuron, "", source_us))
                if "auto" in by_way and at_home:
                    points = mean_percent(by_way["auto"]) - mean_percent(at_home)
                    where = f"{study}, {neuron}, {ratio_name(size)}"
                    (finer if size < 1.0 else coarser).append((points, where))
    if not rows:
        return _NOT_YET
    heads = ("data", "neuron", "ratio", *(f"`{way}`" for way in _SHOWN))
    answer = " ".join(
        f"{direction} `auto` is at best {max(found)[0]:+.1f} points from the network at home "
        f"({max(found)[1]}) and at worst {min(found)[0]:+.1f} ({min(found)[1]})."
        for direction, found in (("To finer steps", finer), ("To coarser steps", coarser))
        if found
    )
    return "\n\n".join((answer, markdown(heads, rows), f"All sources: {', '.join(links)}."))


_SHOWN = ("none", "tau", "euler", "integral", "auto")


def _neurons(findings: Findings) -> str:
    for study in _TABLES:
        if study not in findings:
            continue
        judged = grouped_by_neuron(findings[study].evaluated)
        if len(judged) > 2:
            rows = [[neuron, *cells] for neuron, cells in judged.items()]
            heads = ("neuron", "targets below its step", "mean points", "worst")
            return f"{markdown(heads, rows)}\n\n{_link(study)}"
    return _NOT_YET


def grouped_by_neuron(results: list[Result]) -> dict[str, list[str]]:
    """Return, a neuron, how many finer targets `auto` was measured at, and the mean and worst."""
    found: dict[str, list[str]] = {}
    finer = [v for v in verdicts(results) if v.ratio < 1.0]
    for neuron in dict.fromkeys(v.neuron for v in finer):
        points = [v.points for v in finer if v.neuron == neuron]
        found[neuron] = [
            str(len(points)), f"{statistics.fmean(points):+.1f}", f"{min(points):+.1f}",
        ]  # fmt: skip
    return found


def _small(findings: Findings, study: str) -> str:
    if study not in findings:
        return _NOT_YET
    results = [r for r in findings[study].evaluated if r.dt_us != r.source_us]
    folds = study == "speakers"
    ways = list(dict.fromkeys(r.way for r in results))
    rows = []
    for (data, variant, finer), here in grouped(
        results, lambda r: (r.data, "" if folds else r.variant, r.ratio < 1.0)
    ).items():
        by_way = grouped(here, lambda r: r.way)
        cells = [_mean(by_way.get(way, [])) for way in ways]
        rows.append([data, variant or "-", "to finer" if finer else "to coarser", *cells])
    heads = ("data", "variant", "direction", *(f"`{way}`" for way in ways))
    return f"Mean accuracy in % over all targets.\n\n{markdown(heads, rows)}\n\n{_link(study)}"


def _cost(findings: Findings) -> str:
    study = "adapting-cost"
    if study not in findings:
        return _NOT_YET
    times = [r.adapt_ms for r in findings[study].results if r.adapt_ms]
    return (
        f"Adapting a network of 2x512 takes {min(times):.1f} to {max(times):.1f} ms. {_link(study)}"
    )


def _mean(results: list[Result]) -> str:
    return f"{mean_percent(results):.1f}" if results else ""


def _link(study: str) -> str:
    return f"[adaptation-{study}](adaptation-{study}.md)"
