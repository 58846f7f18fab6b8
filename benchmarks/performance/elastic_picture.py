"""The picture of a load step: every decision's wait in time, a panel a policy."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("agg")
from matplotlib import pyplot as plt

Points = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def draw(path: Path, measured: Mapping[str, Points], loaded: tuple[float, float]) -> str:
    """Draw waits over the instants at which they began; return the name.

    Args:
        path: the picture.
        measured: of each policy the instants in seconds, the waits and the bins' lengths in ms.
        loaded: begin and end of the load, in seconds.
    """
    figure, axes = plt.subplots(
        len(measured), 1, sharex=True, sharey=True, figsize=(8.0, 1.7 * len(measured) + 0.6)
    )
    for axis, (name, (at_s, waits_ms, dts_ms)) in zip(axes, measured.items(), strict=True):
        axis.axvspan(*loaded, color="0.93", lw=0)
        drawn = axis.scatter(
            at_s, np.maximum(waits_ms, 0.01), c=dts_ms, s=2, cmap="viridis", norm="log",
            vmin=0.5, vmax=8.0, rasterized=True,
        )  # fmt: skip
        axis.set_yscale("log")
        axis.set_title(name, loc="left", fontsize=9)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("s; the load is on where it is grey")
    figure.supylabel("wait from a bin's end to its decision, ms", fontsize=9)
    bar = figure.colorbar(drawn, ax=axes, label="time step, ms", ticks=[0.5, 1, 2, 4, 8])
    bar.ax.set_yticklabels(["0.5", "1", "2", "4", "8"])
    bar.ax.minorticks_off()
    axes[0].set_yticks([0.01, 1, 100], ["0.01", "1", "100"])
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
    return path.name
