"""The page of all results, made from them alone."""

from benchmarks.performance.results import Part, Ratio, Results, Table

HEAD = """\
# Performance

    make bench                               # all of it, in an environment of its own
    python -m benchmarks.performance steps   # one part; the others stay as they were
    make bench-check                         # the ratios anew, against those committed here

Every figure is a ratio to a named rival in the same run. A ratio says how many times as fast
Retempo is: the median over the rounds, with the 10th to 90th percentile. All take turns within each
round, in an order that moves on, so that what disturbs one disturbs all. What a rival cannot do, or
why it is not here, stands in its row.
"""


def page_of(results: Results) -> str:
    """Return the page."""
    lines = [HEAD]
    targets = [
        (part.title, name, ratio)
        for part in results.parts.values()
        for name, ratio in part.ratios.items()
        if ratio.target is not None
    ]
    if targets:
        lines += ["## Targets\n", *_verdicts(targets), ""]
    for name, part in results.parts.items():
        lines += _part(name, part)
    return "\n".join(lines).rstrip() + "\n"


def _verdicts(targets: list[tuple[str, str, Ratio]]) -> list[str]:
    rows = ["| part | ratio | measured | target | met |", "|---|---|---|---|---|"]
    for title, name, ratio in targets:
        met = "yes" if ratio.met else "no"
        rows.append(f"| {title} | {name} | {_told(ratio)} | {ratio.target:g} | {met} |")
    return rows


def _part(name: str, part: Part) -> list[str]:
    lines = [f"## {part.title}\n", f"    python -m benchmarks.performance {name}\n", part.text, ""]
    lines += [f"![{part.title}]({picture})\n" for picture in part.pictures if picture]
    for table in part.tables:
        lines += _table(table)
    if part.ratios:
        lines += ["| ratio | measured |", "|---|---|"]
        lines += [f"| {key} | {_told(ratio)} |" for key, ratio in part.ratios.items()]
        lines.append("")
    lines.append(f"{part.machine}; {part.seconds:,.0f} s.\n")
    return lines


def _table(table: Table) -> list[str]:
    head = f"| {' | '.join(table.columns)} |"
    rows = [f"| {' | '.join(row)} |" for row in table.rows]
    return [f"{table.title}:\n", head, "|---" * len(table.columns) + "|", *rows, ""]


def _told(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
