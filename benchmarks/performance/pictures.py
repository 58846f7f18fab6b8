"""Pictures of what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.performance.measure import Rounds

mpl.use("agg")
from matplotlib import pyplot as plt

_OURS, _THEIRS = "tab:blue", "tab:gray"


def bars(path: Path, timed: Rounds, ours: Sequence[str], unit: str) -> str:
    """Draw medians with their 10th to 90th percentile on a logarithmic axis; return the name."""
    names = list(timed)
    low, median, high = np.array([np.percentile(timed[n], (10, 50, 90)) for n in names]).T
    figure, axis = plt.subplots(figsize=(7.0, 0.34 * len(names) + 0.9), layout="constrained")
    colours = [_OURS if name in ours else _THEIRS for name in names]
    drawn = axis.barh(
        names, median, color=colours, xerr=[median - low, high - median], ecolor="black"
    )
    axis.bar_label(drawn, [f"{value:,.1f}" for value in median], padding=6, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(10.0 ** np.floor(np.log10(low.min())), float(high.max()) * 2.0)
    axis.invert_yaxis()
    axis.set_xlabel(unit)
    return _saved(figure, axis, path)


def lines(
    path: Path,
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    axes: tuple[str, str],
    *,
    logarithmic: bool = False,
) -> str:
    """Draw curves over one axis; return the name."""
    figure, axis = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    for name, values in curves.items():
        axis.plot(x, values, marker="o", markersize=3, label=name)
    axis.set_yscale("log")
    if logarithmic:
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(x), [f"{value:g}" for value in x])
    axis.set_xlabel(axes[0])
    axis.set_ylabel(axes[1])
    axis.grid(alpha=0.3, which="both")
    figure.legend(loc="outside upper left", ncols=3, fontsize=8, frameon=False)
    return _saved(figure, axis, path)


def distributions(path: Path, measured: Mapping[str, Sequence[float]], label: str) -> str:
    """Draw the share of values beyond each value, so that the tails show; return the name."""
    figure, axis = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    for name, values in measured.items():
        ordered = np.sort(np.asarray(values))
        axis.plot(ordered, 1.0 - np.arange(len(ordered)) / len(ordered), label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(bottom=5e-4)
    axis.set_xlabel(label)
    axis.set_ylabel("share of decisions that come later")
    axis.grid(alpha=0.3, which="both")
    figure.legend(loc="outside upper left", ncols=3, fontsize=8, frameon=False)
    return _saved(figure, axis, path)


def _saved(figure: "plt.Figure", axis: "plt.Axes", path: Path) -> str:
    axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path.name
