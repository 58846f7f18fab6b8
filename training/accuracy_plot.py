"""Accuracy against the time step, as a picture."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from retempo.exporters.files import write_atomically
from retempo.training.errors import TrainingError
from retempo.training.evaluation import Accuracy

COLOURS = {
    "none": "#9e9e9e",
    "tau": "#c77cff",
    "euler": "#e69f00",
    "integral": "#0072b2",
    "expectation": "#56b4e9",
    "impulse": "#b8860b",
    "lag": "#009e73",
    "substep": "#8b0000",
    "auto": "#000000",
}


def writable(path: Path) -> None:
    """Check, before long work, that a picture can be written there.

    Raises:
        TrainingError: its folder is missing or its suffix is no picture's.
    """
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise TrainingError(f"a picture is .png, .svg or .pdf, got {path.name!r}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise TrainingError(f"cannot write {path}: there is no folder {folder}")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise TrainingError(f"cannot write {path}: it is a folder, or not yours to write")


def draw_accuracy(
    results: Sequence[Accuracy], source_dt_us: int, path: Path, measured_on: str | None = None
) -> None:
    """Draw accuracy in percent against the time step, a line a method.

    Args:
        results: one a method and time step.
        source_dt_us: where the network was trained.
        path: a picture, see `writable`.
        measured_on: what the accuracy is of; the number of recordings if None.

    Raises:
        TrainingError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for shown, method in enumerate(dict.fromkeys(r.method for r in results)):
        points = sorted(
            (r.dt_us, r.percent) for r in results if r.method == method and not r.reason
        )
        if points:
            axes.plot(
                *zip(*points, strict=True),
                marker="o",
                label=method,
                color=COLOURS.get(method, "#555555"),
                linestyle="-" if method in COLOURS else "--",
                # Methods often agree: a smaller marker on a larger one shows both.
                markersize=max(3.0, 9.0 - shown),
                linewidth=max(1.0, 3.0 - 0.4 * shown),
            )
    dts_us = sorted({r.dt_us for r in results})
    axes.set_xscale("log")
    axes.set_xticks(dts_us, [f"{dt_us / 1e3:g}" for dt_us in dts_us])
    axes.minorticks_off()
    axes.set_xlabel("time step deployed at (ms)")
    axes.set_ylabel(f"accuracy on {measured_on or f'{results[0].total} recordings'} (%)")
    axes.set_ylim(0, 102)
    axes.axvline(source_dt_us, color="#444444", linestyle=":", linewidth=1)
    axes.annotate(
        " trained here", (source_dt_us, 2), rotation=90, color="#444444", ha="right", va="bottom"
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    try:
        write_atomically(path, picture.getvalue())
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error.strerror}") from error
