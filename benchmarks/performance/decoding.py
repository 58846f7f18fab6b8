"""Decode and bin raw recordings: `benchmarks.decoding`, its figures taken into this page."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.performance.results import Part, Ratio, Table, spread

FILE = "decoding.csv"
LAST = Path(__file__).resolve().parents[2] / "docs" / "results" / FILE
TEXT = """\
`python -m benchmarks.decoding`, see [its own page](decoding.md) for how it is measured and for the
memory it takes: real EVT3 and EVT2 recordings, repeated; decoded, and decoded and binned."""


def measure(folder: Path, data: Path, *, quick: bool = False) -> Part:
    """Measure anew, or, `quick`, take what was measured last."""
    if not quick:
        command = [sys.executable, "-m", "benchmarks.decoding", "--out", str(folder)]
        recordings = ["--recordings", str(data / "recordings")]
        subprocess.run([*command, *recordings], check=True)
    path = folder / FILE
    tables, ratios = [], {}
    for task, rows in _tasks(path if path.exists() else LAST):
        ours = next(iter(rows))
        table = [[who, spread(rates), spread(times, 2)] for who, (rates, times) in rows.items()]
        tables.append(Table(task, ["who", "Mev/s", f"`{ours}` to it"], table))
        for name, (_, times) in rows.items():
            if not name.startswith("retempo"):
                low, median, high = np.percentile(times, (10, 50, 90)).tolist()
                ratios[f"{task}, {ours} to {name}"] = Ratio(median, low, high)
    return Part("Decode and bin", TEXT, tables, ratios, ["decoding.png"])


def _tasks(path: Path) -> Iterator[tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """Yield each task and, by contestant, its rates and the ratios of our rate to them."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    for task, group in groupby(lines, key=lambda line: line["task"]):
        found = {}
        for name, rounds in groupby(group, key=lambda line: line["contestant"]):
            pairs = [(float(line["mev_per_s"]), float(line["ratio"])) for line in rounds]
            rates, ratios = np.array(pairs).T
            found[name] = (rates, ratios)
        yield task, found
