"""The page, the table and the picture of what was measured."""

import csv
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One contestant in one task: its rate and the ratio of our rate to its, round by round."""

    task: str
    name: str
    events: int
    rates: NDArray[np.float64]
    ratios: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak memory of a process in MiB, on a tenth of the events and on all of them."""

    task: str
    name: str
    short_mib: int
    long_mib: int


def write_report(
    folder: Path, rows: list[Row], memory: list[Memory], events: int, rounds: int
) -> None:
    """Write `decoding.md`, `decoding.csv` and `decoding.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decoding.md").write_text(_page(rows, memory, events, rounds))
    with (folder / "decoding.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["task", "contestant", "events", "round", "mev_per_s", "ratio"])
        for row in rows:
            for number, (rate, ratio) in enumerate(zip(row.rates, row.ratios, strict=True)):
                table.writerow(
                    [row.task, row.name, row.events, number, f"{rate:.2f}", f"{ratio:.3f}"]
                )
    _draw(folder / "decoding.png", rows)


def _page(rows: list[Row], memory: list[Memory], events: int, rounds: int) -> str:
    packages = ("numpy", "numba", "evt3", "faery")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# EVT: decoding and fused binning",
        "",
        "    python -m benchmarks.decoding    # in an environment that has evt3, too",
        "",
        "A recording of an IMX636 (EVT3, 1280x720) and one of a Gen3 (EVT2, 640x480), repeated to",
        f"{events:,} events, the clock going on from copy to copy. One process, one thread, files",
        f"in the page cache, {rounds} rounds in turn; rates are medians in millions of events a",
        "second of processor time, ratios medians over the rounds of our rate to the rival's, with",
        "the least and the most. To bin is to downsample to 64 columns and to count in bins of 1",
        f"ms, all of them dense. {versions}, {platform.machine()}.",
        "",
        "![rates](decoding.png)",
        "",
        "| task | contestant | Mev/s | ours to it | events |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{np.median(row.ratios):.2f} ({row.ratios.min():.2f} to {row.ratios.max():.2f})"
        rate = np.median(row.rates)
        lines.append(f"| {row.task} | {row.name} | {rate:.0f} | {ratio} | {row.events:,} |")
    lines += [
        "",
        f"Peak memory of a process of its own, on {events // 10:,} events and on all of them:",
        "",
        "| task | contestant | MiB, a tenth | MiB, all |",
        "|---|---|---|---|",
    ]
    lines += [f"| {m.task} | {m.name} | {m.short_mib:,} | {m.long_mib:,} |" for m in memory]
    return "\n".join(lines) + "\n"


def _draw(path: Path, rows: list[Row]) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    tasks = list(dict.fromkeys(row.task for row in rows))
    heights = [sum(row.task == task for row in rows) for task in tasks]
    figure, axes = plt.subplots(
        len(tasks), 1, figsize=(7.0, 5.6), sharex=True, height_ratios=heights, layout="constrained"
    )
    for axis, task in zip(axes, tasks, strict=True):
        chosen = [row for row in rows if row.task == task]
        rates = [float(np.median(row.rates)) for row in chosen]
        colours = ["tab:blue" if row.name.startswith("retempo") else "tab:gray" for row in chosen]
        bars = axis.barh([row.name for row in chosen], rates, color=colours)
        axis.bar_label(bars, [f"{rate:.0f}" for rate in rates], padding=3, fontsize=8)
        axis.invert_yaxis()
        axis.set_title(task, fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("millions of events a second")
    figure.savefig(path, dpi=150)
    plt.close(figure)
