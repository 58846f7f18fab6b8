"""The panels of a picture: each draws one view of a recording into its axes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.units import format_duration
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.summary import RecordingSummary
from retempo.sensors.timeline import Timeline, resampled
from retempo.view.colours import BACKGROUND, OFF, ON, event_image, hexadecimal
from retempo.view.survey import Survey

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, WARNING = "#1c2230", "#667085", "#b42318"
_RING = "#7cf5ff"
_MAP = "magma"
_RATE_PARTS = 480
_WIDEST = 800
_CUT_OFF = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Off and on events a pixel of a window of time, absolute; shapes `(height, width)`."""

    from_us: int
    to_us: int
    off: NDArray[np.int64]
    on: NDArray[np.int64]


def entitle(axes: "Axes", title: str) -> None:
    """Give a panel its title."""
    axes.set_title(title, fontsize=11, loc="left", color=INK)


def draw_frame(axes: "Axes", frame: Frame, summary: RecordingSummary) -> None:
    """Draw a window's events, off and on."""
    image = event_image(_in_blocks(frame.off), _in_blocks(frame.on))
    _draw_image(axes, image, frame.on.shape)
    first_us = summary.t_first_us or 0
    span = format_duration(frame.to_us - frame.from_us)
    events = int(frame.off.sum() + frame.on.sum())
    begin = (frame.from_us - first_us) * 1e-6
    entitle(axes, f"{span} from {begin:.4g} s, {events:,} events")
    for place, (label, colour) in enumerate((("on", ON), ("off", OFF))):
        axes.annotate(
            f"■ {label}",
            (1.0 - 0.09 * place, 1.0),
            xycoords="axes fraction",
            xytext=(0, 5),
            textcoords="offset points",
            color=hexadecimal(colour),
            ha="right",
            fontsize=10,
            weight="bold",
        )


def _draw_image(axes: "Axes", image: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    height, width = shape
    block = _block(width)
    down, across = block * image.shape[0] - 0.5, block * image.shape[1] - 0.5
    axes.imshow(image, interpolation="nearest", extent=(-0.5, across, down, -0.5))
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xticks([0, width - 1])
    axes.set_yticks([0, height - 1])
    axes.tick_params(labelsize=8, color=MUTED, labelcolor=MUTED)
    _frame_in(axes)


def _block(width: int) -> int:
    return -(-width // _WIDEST)


def _in_blocks(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts of square blocks of pixels.

    Where a pixel is smaller than the picture's own, a lone event must not vanish.
    """
    block = _block(counts.shape[1])
    if block == 1:
        return counts
    rows, columns = (-(-side // block) for side in counts.shape)
    padded = np.zeros((rows * block, columns * block), np.int64)
    padded[: counts.shape[0], : counts.shape[1]] = counts
    summed: NDArray[np.int64] = padded.reshape(rows, block, columns, block).sum(axis=(1, 3))
    return summed


def draw_density(axes: "Axes", summary: RecordingSummary) -> None:
    """Draw how often each pixel fired, and ring the worst of the hot ones."""
    from matplotlib import colormaps

    counts = summary.addresses
    assert counts is not None  # noqa: S101  (the caller has looked)
    image = (colormaps[_MAP](_scaled(_in_blocks(counts)))[..., :3] * 255).astype(np.uint8)
    _draw_image(axes, image, counts.shape)
    hot = f", {summary.hot:,} hot" if summary.hot else ""
    entitle(axes, f"events a pixel, up to {counts.max():,}{hot}")
    places = np.array([each.address for each in summary.hottest]).reshape(-1, 2)
    axes.scatter(
        places[:, 0], places[:, 1], s=60, facecolors="none", edgecolors=_RING, linewidths=1.0
    )


def _scaled(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts as 0 to 1 by their logarithm, 1 at the 99.9th percentile of those that are not 0."""
    if not counts.any():
        return np.zeros(counts.shape)
    top = np.log1p(np.quantile(counts[counts > 0], 0.999))
    scaled: NDArray[np.float64] = np.minimum(np.log1p(counts) / top, 1.0)
    return scaled


def draw_rate(axes: "Axes", summary: RecordingSummary, frame: Frame | None) -> None:
    """Draw events a second over time, and mark the window of the frame."""
    from matplotlib.ticker import EngFormatter, FuncFormatter

    timeline = summary.timeline
    grid = isinstance(summary.geometry, GridGeometry)
    parts = min(timeline.used, _RATE_PARTS)
    edges_s = _edges_s(timeline, summary, parts)
    seconds = timeline.used * timeline.bin_us * 1e-6 / parts
    off, on = (resampled(timeline.filled[:, row], parts) / seconds for row in (0, 1))
    if grid:
        axes.stairs(on, edges_s, fill=True, color=hexadecimal(ON), label="on")
        axes.stairs(-off, edges_s, fill=True, color=hexadecimal(OFF), label="off")
        axes.axhline(0.0, color=INK, linewidth=0.6)
    else:
        axes.stairs(off, edges_s, fill=True, color=hexadecimal(OFF))
    engineering = EngFormatter(sep=" ")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: engineering(abs(value))))
    _keep_readable(axes, off, on, grid=grid)
    axes.locator_params(axis="y", nbins=5)
    axes.set_ylabel("events/s" + ("\non up, off down" if grid else ""), color=INK)
    if frame is not None:
        first_us = summary.t_first_us or 0
        begin, end = ((t - first_us) * 1e-6 for t in (frame.from_us, frame.to_us))
        axes.axvspan(begin, end, color=INK, alpha=0.16, linewidth=0.8)
    axes.set_xlim(0.0, max(summary.duration_us, 1) * 1e-6)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _keep_readable(
    axes: "Axes", off: NDArray[np.float64], on: NDArray[np.float64], *, grid: bool
) -> None:
    """Cut off what would squash all else, and say so."""
    from matplotlib.ticker import EngFormatter

    both = np.concatenate([off, on])
    usual = float(np.quantile(both[both > 0], 0.98)) if both.any() else 0.0
    if usual == 0.0 or both.max() < _CUT_OFF * usual:
        return
    axes.set_ylim(-1.5 * usual if grid else 0.0, 1.5 * usual)
    peak = EngFormatter(places=1, sep=" ")(both.max())
    axes.annotate(
        f"cut off: up to {peak}",
        (0.995, 0.94),
        xycoords="axes fraction",
        ha="right",
        va="top",
        color=WARNING,
        fontsize=9,
    )


def draw_profile(
    axes: "Axes", timeline: Timeline, summary: RecordingSummary, name: str, side: int
) -> None:
    """Draw where along one axis events fell over time."""
    begin, end = _edges_s(timeline, summary, 1)
    axes.imshow(
        _scaled(timeline.filled.T),
        extent=(begin, end, side - 0.5, -0.5),
        aspect="auto",
        cmap=_MAP,
        vmin=0.0,
        vmax=1.0,
        interpolation="antialiased",
    )
    axes.set_ylabel("channel" if name == "channel" else f"{name} (pixel)", color=INK)
    axes.tick_params(labelsize=9)
    axes.set_facecolor("black")
    _frame_in(axes)


def draw_dots(axes: "Axes", survey: Survey, channels: int) -> None:
    """Draw every event of a channel sensor as a dot."""
    assert survey.dots is not None  # noqa: S101  (the caller has looked)
    t_us, channel = survey.dots
    t_s = (t_us - (survey.summary.t_first_us or 0)) * 1e-6
    size = float(np.clip(40_000.0 / len(t_us), 1.5, 30.0))
    axes.set_facecolor(hexadecimal(BACKGROUND))
    axes.scatter(t_s, channel, s=size, color=hexadecimal(ON), linewidths=0)
    axes.set_ylim(-0.5, channels - 0.5)
    axes.set_ylabel("channel", color=INK)
    axes.tick_params(labelsize=9)
    _frame_in(axes)


def draw_totals(axes: "Axes", summary: RecordingSummary) -> None:
    """Draw how often each channel fired."""
    from matplotlib.ticker import EngFormatter

    assert summary.addresses is not None  # noqa: S101  (the caller has looked)
    counts = summary.addresses[0]
    edges = np.arange(len(counts) + 1) - 0.5
    axes.stairs(counts, edges, orientation="horizontal", fill=True, color=hexadecimal(OFF))
    entitle(axes, "in all")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(labelsize=9, labelleft=False)
    axes.spines[["top", "right"]].set_visible(False)


def _edges_s(timeline: Timeline, summary: RecordingSummary, parts: int) -> NDArray[np.float64]:
    """The edges of some equal parts of a timeline, in seconds since the first event."""
    first_us = summary.t_first_us or 0
    begin = timeline.start_us - first_us
    edges: NDArray[np.float64] = np.linspace(
        begin, begin + timeline.used * timeline.bin_us, parts + 1
    )
    return edges * 1e-6


def _frame_in(axes: "Axes") -> None:
    for spine in axes.spines.values():
        spine.set(color=MUTED, linewidth=0.6)
