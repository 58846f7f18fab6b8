"""Event Stream written by faery, its times as they are.

The format tells the steps from time 0 on, of up to 126 us in the event's own byte and every further
127 us in a byte of their own, so that a time far from 0 takes many bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.writers.by_faery import encode_with_faery
from retempo.sensors.files.writers.checks import from_zero, going_forward, need_grid
from retempo.sensors.geometry import Geometry

_NAME = "ES"
_MOST_SIDE = (1 << 16) - 1
_BYTE_US = 127
# Silence of this length takes 28 MB.
_LONGEST_STEP_US = 3_600_000_000


def write_es(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write DVS events, version 2.

    Raises:
        RecordingError: channels, a side above 65535, a time below 0 or one that goes back, or more
            than an hour from 0 to the first event or from one event to the next.
    """
    grid = need_grid(geometry, _NAME, _MOST_SIDE)
    events = _without_long_silence(going_forward(from_zero(chunks, _NAME), _NAME))
    # zero_t0 would begin at the first event and forget when that was.
    encode_with_faery(path, grid, events, file_type="es", zero_t0=False)


def _without_long_silence(chunks: Iterator[EventChunk]) -> Iterator[EventChunk]:
    last_us = 0
    for chunk in chunks:
        steps_us = np.diff(chunk.t_us, prepend=last_us)
        if steps_us.max(initial=0) > _LONGEST_STEP_US:
            at = int(steps_us.argmax())
            raise RecordingError(
                f"ES tells every step from time 0 on in bytes of {_BYTE_US} us: the "
                f"{int(steps_us[at])} us before the event at {int(chunk.t_us[at])} us would take "
                f"{int(steps_us[at]) // _BYTE_US:,} bytes, at most an hour is written; let times "
                "start at 0 (--zero) or cut the recording (--from, --to)"
            )
        last_us = int(chunk.t_us[-1]) if len(chunk) else last_us
        yield chunk
