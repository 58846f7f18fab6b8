"""Which part of a recording its picture shows in full."""

import numpy as np

from retempo.sensors.geometry import GridGeometry
from retempo.sensors.summary import RecordingSummary
from retempo.sensors.timeline import Timeline

_SPANS_US: list[int] = [base * 10**power for power in range(7) for base in (1, 2, 5)]
# One pixel in so many should have fired, or the picture is next to empty.
_PIXELS_AN_EVENT = 50
_FEWEST = 500


def middle_us(timeline: Timeline) -> int:
    """Return the time by which half of the events have come, to within a bin."""
    counts = timeline.filled.sum(axis=1)
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return timeline.start_us + place * timeline.bin_us + timeline.bin_us // 2


def telling_span_us(summary: RecordingSummary) -> int:
    """Return how long a recording must be watched, at its mean rate, to see something."""
    grid = summary.geometry
    pixels = grid.width * grid.height if isinstance(grid, GridGeometry) else 0
    wanted = max(_FEWEST, pixels // _PIXELS_AN_EVENT)
    for span_us in _SPANS_US:
        if summary.rate_hz * span_us * 1e-6 >= wanted:
            return span_us
    return _SPANS_US[-1]


def window_of(
    summary: RecordingSummary, at_us: int | None, window_us: int | None
) -> tuple[int, int]:
    """Return the begin and the end of what is shown, in the recording's own time.

    Args:
        summary: of a recording with events.
        at_us: where it begins, from the first event; if None it lies round the middle event.
        window_us: how long it is; long enough to see something if None.
    """
    first_us, last_us = summary.t_first_us or 0, summary.t_last_us or 0
    span_us = telling_span_us(summary) if window_us is None else window_us
    if at_us is not None:
        return first_us + at_us, first_us + at_us + span_us
    begin = min(middle_us(summary.timeline) - span_us // 2, last_us + 1 - span_us)
    begin = max(begin, first_us)
    return begin, begin + span_us
