"""The demonstration's picture: one recording, and how it is decided with and without adaptation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import RunError
from retempo.sensors.events import EventChunk

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRAMES = 6
_WRONG, _TRUE = "#d1495b", "#009e73"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The scores of a stream over event time: `t_us` `(steps,)`, `scores` `(steps, labels)`."""

    title: str
    t_us: NDArray[np.int64]
    scores: NDArray[np.float64]


def draw_demo(
    path: Path,
    events: EventChunk,
    side: tuple[int, int],
    traces: Sequence[Trace],
    accuracy: Sequence[tuple[str, float]],
    labels: Sequence[str],
    truth: str,
) -> None:
    """Draw event frames over time, a score trace a way of stepping, and accuracies.

    Raises:
        RunError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    figure.suptitle(
        "A spiking network trained on 10 ms bins, stepped every 1 ms", fontsize=15, weight="bold"
    )
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.0, 2.1])[:, 0]
    _draw_frames(above, events, side, truth)
    left, right = below.subfigures(1, 2, squeeze=False, width_ratios=[2.3, 1.0])[0]
    _draw_traces(left, traces, labels, truth)
    _draw_accuracy(right, accuracy)
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise RunError(f"cannot write the picture {path}: {error.strerror}") from error


def _draw_frames(figure: "Figure", events: EventChunk, side: tuple[int, int], truth: str) -> None:
    assert events.x is not None  # noqa: S101  (the demo's camera is a grid)
    assert events.y is not None  # noqa: S101
    assert events.on is not None  # noqa: S101
    edges = np.linspace(0, events.t_us[-1] + 1, _FRAMES + 1)
    figure.suptitle(
        f"What the event camera saw: a handwritten {truth}, {len(events):,} events "
        "(red brighter, blue darker)",
        fontsize=11,
    )
    for k, axes in enumerate(figure.subplots(1, _FRAMES)):
        chosen = (events.t_us >= edges[k]) & (events.t_us < edges[k + 1])
        image = np.zeros((side[1], side[0]))
        sign = np.where(events.on[chosen], 1.0, -1.0)
        np.add.at(image, (events.y[chosen], events.x[chosen]), sign)
        axes.imshow(image, cmap="RdBu_r", vmin=-3, vmax=3, interpolation="nearest")
        axes.set_title(f"{edges[k] / 1e3:.0f}-{edges[k + 1] / 1e3:.0f} ms", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])


def _draw_traces(
    figure: "Figure", traces: Sequence[Trace], labels: Sequence[str], truth: str
) -> None:
    for axes, trace in zip(figure.subplots(len(traces), 1, sharex=True), traces, strict=True):
        _draw_trace(axes, trace, labels, truth)
    axes.set_xlabel("event time (ms)")


def _draw_trace(axes: "Axes", trace: Trace, labels: Sequence[str], truth: str) -> None:
    t_ms = trace.t_us / 1e3
    decided = int(trace.scores[-1].argmax())
    for k, label in enumerate(labels):
        scores = trace.scores[:, k]
        if label == truth:
            axes.plot(t_ms, scores, color=_TRUE, linewidth=2.5, label=f"{label} (the truth)")
        elif k == decided:
            axes.plot(t_ms, scores, color=_WRONG, linewidth=2.0, label=f"{label} (decided)")
        else:
            axes.plot(t_ms, scores, color="#bbbbbb", linewidth=0.8)
    verdict = "right" if labels[decided] == truth else "wrong"
    axes.set_title(f"{trace.title}: decides {labels[decided]}, {verdict}", fontsize=11, loc="left")
    axes.set_ylabel("score")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.25)
    axes.legend(loc="center right", frameon=False, fontsize=9)


def _draw_accuracy(figure: "Figure", accuracy: Sequence[tuple[str, float]]) -> None:
    axes = figure.add_subplot()
    names = [name for name, _ in accuracy]
    values = [value for _, value in accuracy]
    colours = [_TRUE if name == names[-1] else "#bbbbbb" for name in names]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_title("Accuracy at 1 ms (%)\nby adaptation method", fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
