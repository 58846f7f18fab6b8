"""A summary as rows of text, and as plain values."""

from datetime import UTC, datetime, timedelta

import numpy as np

from retempo.runtime.units import format_duration
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import KINDS
from retempo.sensors.summary import RecordingSummary
from retempo.view.text import ASCII_BARS, BARS, dot_picture, sparkline

# Microseconds since 1970: a sensor's own clock does not get so far.
_EPOCH_US = range(946_684_800_000_000, 4_102_444_800_000_000)
# A peak over a bin that is a large part of the recording says no more than the mean.
_FEWEST_BINS = 8
_WIDEST, _PICTURE = 100, (48, 8)
_NAMED = 3


def date_of(t_us: int) -> str | None:
    """Return the date of a time that is plainly microseconds since 1970, in UTC; else None."""
    if t_us not in _EPOCH_US:
        return None
    date = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=t_us)
    return f"{date:%Y-%m-%d %H:%M:%S}.{date.microsecond // 1000:03d} UTC"


def report_lines(
    summary: RecordingSummary, error: str | None, width: int, *, plain: bool = False
) -> list[tuple[str, str]]:
    """Return a summary as rows of a label and a text, the label empty where a text goes on.

    Args:
        summary: of a source.
        error: what ended the reading early, if anything did.
        width: how many characters a sparkline may take.
        plain: ASCII alone, for a terminal that has no more.
    """
    rows = [("sensor", str(summary.geometry)), ("events", f"{summary.events:,}")]
    if summary.t_first_us is not None and summary.t_last_us is not None:
        rows += _time_rows(summary, width, plain=plain)
    if summary.on_share is not None:
        rows.append(("polarity", f"{summary.on_share:.1%} on, {1 - summary.on_share:.1%} off"))
    if summary.events:
        rows += _hot_rows(summary, width)
    rows += _labelled("problems", _problem_lines(summary, error) or ["none"])
    grid = isinstance(summary.geometry, GridGeometry)
    if grid and summary.addresses is not None and summary.events and not plain:
        wide, high = _PICTURE
        picture = dot_picture(summary.addresses, max(8, min(width, wide)), high)
        rows += _labelled("where", picture)
    rows += [(f"sha3-224 {name}", digest) for name, digest in summary.sha3_224.items()]
    return rows


def report_values(summary: RecordingSummary, error: str | None) -> dict[str, object]:
    """Return a summary as values that JSON has, `timeline` and `hottest` included."""
    first_us, last_us = summary.t_first_us, summary.t_last_us
    timeline = summary.timeline
    most, peak_us = summary.peak
    return {
        "geometry": summary.geometry,
        "events": summary.events,
        "lost": summary.lost,
        "t_first_us": first_us,
        "t_last_us": last_us,
        "first_date": None if first_us is None else date_of(first_us),
        "duration_us": summary.duration_us,
        "rate_hz": summary.rate_hz,
        "peak_rate_hz": most / (peak_us * 1e-6),
        "peak_us": peak_us,
        "on_share": summary.on_share,
        "timeline": {
            "start_us": timeline.start_us,
            "bin_us": timeline.bin_us,
            "events": timeline.filled.sum(axis=1).tolist(),
        },
        "hot": summary.hot,
        "hottest": [{"address": each.address, "events": each.events} for each in summary.hottest],
        "problems": summary.problems,
        "outside": summary.outside,
        "backward_steps": summary.backward_steps,
        "ended_by": error,
        "sha3_224": summary.sha3_224,
    }


def _time_rows(summary: RecordingSummary, width: int, *, plain: bool) -> list[tuple[str, str]]:
    first_us, last_us = summary.t_first_us or 0, summary.t_last_us or 0
    rows = [("time", f"{first_us:,} to {last_us:,} us, {format_duration(summary.duration_us)}")]
    date = date_of(first_us)
    if date is not None:
        rows.append(("", f"from {date}"))
    if summary.duration_us == 0:
        return rows
    rate = f"{summary.rate_hz:,.0f} events/s"
    most, peak_us = summary.peak
    if summary.duration_us >= _FEWEST_BINS * peak_us:
        rate += f", {most / (peak_us * 1e-6):,.0f} in its fullest {format_duration(peak_us)}"
    rows.append(("rate", rate))
    if summary.timeline.used < _FEWEST_BINS:
        return rows
    values = summary.timeline.filled.sum(axis=1).astype(np.float64)
    bars = sparkline(values, max(8, min(width, _WIDEST)), ASCII_BARS if plain else BARS)
    rows.append(("", bars))
    return rows


def _hot_rows(summary: RecordingSummary, width: int) -> list[tuple[str, str]]:
    pixels = "pixels" if isinstance(summary.geometry, GridGeometry) else "channels"
    label = f"hot {pixels}"
    if summary.hot is None:
        return [(label, f"not counted: the sensor has too many {pixels}")]
    if summary.hot == 0:
        return [(label, "none")]
    seconds = summary.duration_us * 1e-6
    named = [
        f"{','.join(map(str, each.address))} ({each.events / summary.events:.2%}"
        + (f", {each.events / seconds:,.0f}/s)" if seconds else ")")
        for each in summary.hottest[:_NAMED]
    ]
    count = f"{summary.hot:,}: "
    while True:
        text = count + ", ".join(named) + (", ..." if summary.hot > len(named) else "")
        if len(text) <= width or len(named) == 1:
            return [(label, text)]
        named.pop()


def _problem_lines(summary: RecordingSummary, error: str | None) -> list[str]:
    lines = [
        f"{count:,} {kind}: {KINDS.get(kind, 'of a kind of its own')}"
        for kind, count in sorted(summary.problems.items())
    ]
    if summary.backward_steps:
        lines.append(f"{summary.backward_steps:,} events before the one ahead of them")
    if error is not None:
        lines.append(f"reading ended early: {error}")
    return lines


def _labelled(label: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(label if place == 0 else "", line) for place, line in enumerate(lines)]
