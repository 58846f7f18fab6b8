"""A recording on one page: what the sensor saw, how much, when and where."""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from retempo.runtime.units import format_duration
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.summary import RecordingSummary
from retempo.view.panels import (
    INK,
    MUTED,
    WARNING,
    Frame,
    draw_density,
    draw_dots,
    draw_frame,
    draw_profile,
    draw_rate,
    draw_totals,
    entitle,
)
from retempo.view.report import date_of
from retempo.view.survey import Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_HEAD = 0.75
_DPI = 130
_LONGEST, _NAMED = 50, 3


def draw_grid(survey: Survey, frame: Frame, kind: str) -> "Figure":
    """Draw a recording of a camera: a frame, all its events, rates, and x and y over time."""
    geometry = survey.summary.geometry
    assert isinstance(geometry, GridGeometry)  # noqa: S101  (the caller has looked)
    aspect = geometry.height / geometry.width
    images = float(np.clip(6.0 * aspect, 2.4, 5.2))
    body = _page(images + 5.2, survey.summary, kind)
    grid = body.add_gridspec(4, 2, height_ratios=[images, 1.25, 1.1, 1.1])
    draw_frame(body.add_subplot(grid[0, 0]), frame, survey.summary)
    draw_density(body.add_subplot(grid[0, 1]), survey.summary)
    rate = body.add_subplot(grid[1, :])
    draw_rate(rate, survey.summary, frame)
    rate.tick_params(labelbottom=False)
    axes = rate
    for place, name in enumerate(("x", "y")):
        axes = body.add_subplot(grid[2 + place, :], sharex=rate)
        side = geometry.width if name == "x" else geometry.height
        draw_profile(axes, survey.profiles[name], survey.summary, name, side)
        axes.tick_params(labelbottom=place == 1)
    axes.set_xlabel("time since the first event (s)", color=INK)
    return _whole(body)


def draw_channels(survey: Survey, kind: str) -> "Figure":
    """Draw a recording of a cochlea: a raster, events a channel, and the rate over time."""
    geometry = survey.summary.geometry
    assert isinstance(geometry, ChannelGeometry)  # noqa: S101  (the caller has looked)
    body = _page(7.4, survey.summary, kind)
    grid = body.add_gridspec(2, 2, height_ratios=[4.6, 1.3], width_ratios=[6.0, 1.0])
    raster = body.add_subplot(grid[0, 0])
    if survey.dots is None:
        timeline = survey.profiles["channel"]
        draw_profile(raster, timeline, survey.summary, "channel", geometry.channels)
        raster.invert_yaxis()
    else:
        draw_dots(raster, survey, geometry.channels)
    raster.tick_params(labelbottom=False)
    entitle(raster, "every event" if survey.dots else "events a channel and time")
    draw_totals(body.add_subplot(grid[0, 1], sharey=raster), survey.summary)
    rate = body.add_subplot(grid[1, 0], sharex=raster)
    draw_rate(rate, survey.summary, None)
    rate.set_xlabel("time since the first event (s)", color=INK)
    return _whole(body)


def png_of(figure: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A file's name may have letters that the font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def _page(height: float, summary: RecordingSummary, kind: str) -> "SubFigure":
    """Return the part of a new page below its title, so many inches high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, height + _HEAD), layout="constrained")
    head, body = figure.subfigures(2, 1, squeeze=False, height_ratios=[_HEAD, height])[:, 0]
    facts = [
        kind,
        str(summary.geometry),
        f"{summary.events:,} events",
        format_duration(summary.duration_us),
    ]
    if summary.duration_us:
        facts.append(f"{summary.rate_hz:,.0f} events/s")
    if summary.on_share is not None:
        facts.append(f"{summary.on_share:.0%} on")
    date = None if summary.t_first_us is None else date_of(summary.t_first_us)
    if date is not None:
        facts.append(date)
    name = summary.name if len(summary.name) <= _LONGEST else summary.name[:_LONGEST] + "…"
    name = name.replace("$", r"\$")  # a dollar sign would begin mathematics
    head.text(0.012, 0.62, name, fontsize=18, weight="bold", color=INK, va="center")
    head.text(0.012, 0.17, "   ·   ".join(facts), fontsize=11.5, color=MUTED, va="center")
    if summary.problems:
        counts = [f"{count:,} {kind}" for kind, count in summary.problems.items()]
        more = ", …" if len(counts) > _NAMED else ""
        problems = f"problems: {', '.join(counts[:_NAMED])}{more}"
        head.text(0.988, 0.62, problems, fontsize=11.5, color=WARNING, ha="right", va="center")
    page: SubFigure = body
    return page


def _whole(body: "SubFigure") -> "Figure":
    figure: Figure = body.figure.figure
    return figure
