"""Accuracy on N-MNIST by method and time step, mean over seeds, from training to table.

    python -m benchmarks.nmnist --data FOLDER [--runs runs/nmnist] [--out docs/results]

FOLDER holds `train` and `test`. Each seed is trained by configs/nmnist-radlif.toml into a run of
its own; a run that is there already is used as it is, so that a stopped benchmark goes on where it
stopped.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

import msgspec
import numpy as np

from retempo.exporters.network import DESCRIPTION_FILE, load_network
from retempo.runtime.units import format_duration
from retempo.training.accuracy_plot import draw_accuracy
from retempo.training.config import load_train_config
from retempo.training.datasets import open_folder
from retempo.training.evaluation import Accuracy, evaluate, model_of
from retempo.training.fit import train
from retempo.training.history import HISTORY_FILE

PRESET = Path(__file__).parents[1] / "configs" / "nmnist-radlif.toml"
DTS_US = (20_000, 10_000, 5_000, 2_500, 2_000, 1_000)
METHODS = ("none", "tau", "euler", "integral", "expectation", "lag")
SEEDS = (0, 1, 2)
# `none` with the normalisation alone adapted: how much of the rest is the neuron's.
NORM_ONLY = "none, norm adapted"


def measure(run: Path, data: Path, seed: int) -> list[Accuracy]:
    """Train a seed unless it is trained, and evaluate it on the test recordings."""
    if not _is_trained(run, seed):
        train(load_train_config(PRESET), run, data=data / "train", seed=seed)
    network = load_network(run)
    test = open_folder(data / "test", network.spec.labels)
    items = [test[index] for index in range(len(test))]
    events = [item.events for item in items]
    labels = [test.labels[item.label] for item in items]
    model = model_of(network, run.name)
    results = evaluate(model, events, labels, DTS_US, METHODS)
    normalised = evaluate(model, events, labels, DTS_US, ["none"], normalisation="paper")
    return results + [
        Accuracy(r.dt_us, NORM_ONLY, r.correct, r.total, r.decided) for r in normalised
    ]


def _is_trained(run: Path, seed: int) -> bool:
    """Whether a whole run is there already; one of another preset or seed is an error."""
    if not (run / DESCRIPTION_FILE).exists() or not (run / HISTORY_FILE).exists():
        return False
    history = json.loads((run / HISTORY_FILE).read_text())
    wanted = json.loads(msgspec.json.encode(load_train_config(PRESET)))
    same = all(history["config"][key] == wanted[key] for key in ("input", "network", "augment"))
    if not same or history["seed"] != seed:
        raise SystemExit(f"{run} is of another preset or seed; move it away, or name other --runs")
    return True


def table(seeds: dict[int, list[Accuracy]]) -> tuple[list[list[str]], list[Accuracy]]:
    """Return the rows `mean (lowest to highest)` a method, and the means for a picture."""
    names = ("none", NORM_ONLY, *METHODS[1:])
    rows, means = [], []
    for name in names:
        row = [name]
        for dt_us in DTS_US:
            found = [r for rs in seeds.values() for r in rs if (r.method, r.dt_us) == (name, dt_us)]
            if found[0].reason:
                row.append("-")
                continue
            percents = [r.percent for r in found]
            row.append(f"{np.mean(percents):.1f} ({min(percents):.0f}-{max(percents):.0f})")
            total = sum(r.total for r in found)
            means.append(Accuracy(dt_us, name, sum(r.correct for r in found), total, ()))
        rows.append(row)
    return rows, means


def main() -> None:
    """Measure all seeds and write nmnist.md, nmnist.csv and nmnist.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/nmnist"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    seeds, training_s = {}, []
    for seed in SEEDS:
        run = options.runs / f"seed-{seed}"
        began = time.perf_counter()
        seeds[seed] = measure(run, options.data, seed)
        training_s.append(json.loads((run / "training.json").read_text())["wall_s"])
        print(f"seed {seed}: {time.perf_counter() - began:.0f} s, training {training_s[-1]:.0f} s")
    rows, means = table(seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    recordings = f"{seeds[SEEDS[0]][0].total} recordings, mean of {len(SEEDS)} seeds"
    source_dt_us = load_network(options.runs / f"seed-{SEEDS[0]}").spec.source_dt_us
    draw_accuracy(means, source_dt_us, options.out / "nmnist.png", recordings)
    with (options.out / "nmnist.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "dt_us", "method", "correct", "total", "reason"])
        for seed, results in seeds.items():
            for r in results:
                writer.writerow([seed, r.dt_us, r.method, r.correct, r.total, r.reason])
    heads = ["method", *(format_duration(dt_us) for dt_us in DTS_US)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    text = f"""# N-MNIST: trained at 10 ms, stepped at anything

    python -m benchmarks.nmnist --data FOLDER

RadLIF 2x128, trained at 10 ms on {len(open_folder(options.data / "train")):,} recordings
([configs/nmnist-radlif.toml](../../configs/nmnist-radlif.toml)), {np.median(training_s):.0f} s of
training (median of {len(SEEDS)} seeds, {os.cpu_count()} cores). Accuracy in % on
{seeds[SEEDS[0]][0].total} test recordings: mean over seeds {", ".join(map(str, SEEDS))} (lowest
to highest). `-`: the method does
not fit this time step. The preset was chosen on held-out training recordings; the test recordings
were read for this table alone.

{chr(10).join(lines)}

![accuracy against time step](nmnist.png)
"""
    (options.out / "nmnist.md").write_text(text, encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
