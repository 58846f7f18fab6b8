"""What a writer asks of a geometry and of chunks before it writes them."""

from collections.abc import Iterator

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry


def need_grid(geometry: Geometry, format_name: str, most_side: int) -> GridGeometry:
    """Return the grid of pixels that a format can hold.

    Raises:
        RecordingError: the sensor is a row of channels, or wider or higher than `most_side`.
    """
    if not isinstance(geometry, GridGeometry):
        raise RecordingError(
            f"{format_name} holds events of a pixel grid, got {geometry}; write CSV, NPZ or HDF5"
        )
    if max(geometry.width, geometry.height) > most_side:
        raise RecordingError(
            f"{format_name} holds at most {most_side}x{most_side} pixels, got {geometry}; crop or "
            "downsample, or write NPZ or HDF5"
        )
    return geometry


def from_zero(
    chunks: Iterator[EventChunk], format_name: str, limit_us: int | None = None
) -> Iterator[EventChunk]:
    """Yield chunks whose times lie from 0 on, and before `limit_us` where there is one.

    Raises:
        RecordingError: a time lies outside; the text names the first.
    """
    highest = np.iinfo(np.int64).max if limit_us is None else limit_us - 1
    for chunk in chunks:
        wrong = (chunk.t_us < 0) | (chunk.t_us > highest)
        if wrong.any():
            span = "0 on" if limit_us is None else f"0 to {highest}"
            raise RecordingError(
                f"{format_name} holds times from {span} us, got an event at "
                f"{int(chunk.t_us[wrong.argmax()])} us; let times start at 0 (--zero) or cut the "
                "recording (--from, --to)"
            )
        yield chunk


def going_forward(chunks: Iterator[EventChunk], format_name: str) -> Iterator[EventChunk]:
    """Yield chunks whose times never go back.

    Raises:
        RecordingError: an event lies before the one ahead of it; the text names the first.
    """
    before = np.zeros(0, np.int64)
    events = 0
    for chunk in chunks:
        times = np.concatenate([before, chunk.t_us])
        back = times[1:] < times[:-1]
        if back.any():
            at = int(back.argmax())
            number = events + at + (0 if len(before) else 1)
            raise RecordingError(
                f"{format_name} holds events in time order, but event {number} (counted from 0) at "
                f"{int(times[at + 1])} us lies before the one ahead of it at {int(times[at])} us; "
                "put them in order, as with --sort 10ms, or write CSV, NPZ or HDF5"
            )
        before, events = times[-1:], events + len(chunk)
        yield chunk
