"""DAT version 2 written: see `files.dat` for the layout.

The counter holds the time modulo 2^32 us. Times that begin beyond that are kept by a header line
`% T0 N`, a multiple of 2^32, which faery and Retempo read; other readers find them modulo 2^32.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.writers.checks import from_zero, need_grid
from retempo.sensors.geometry import Geometry

_NAME = "DAT"
_MOST_SIDE = 1 << 14
_WRAP_US = 1 << 32
# A longer step could not be told from one the other way round the counter.
_LONGEST_STEP_US = (1 << 31) - 1
_EVENT_TYPE, _EVENT_BYTES = 0x0C, 8


def write_dat(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write DAT version 2; times may go back, by up to 35 minutes from one event to the next.

    Raises:
        RecordingError: channels, a side above 16384, a time below 0, or a step of more than 2^31
            us from one event to the next.
    """
    grid = need_grid(geometry, _NAME, _MOST_SIDE)
    head = (
        f"% Data file containing CD events.\n% Version 2\n% Height {grid.height}\n"
        f"% Width {grid.width}\n"
    )
    with path.open("wb") as file:
        last_us: int | None = None
        for chunk in from_zero(chunks, _NAME):
            if len(chunk) == 0:
                continue
            if last_us is None:
                last_us = int(chunk.t_us[0])
                t0_us = last_us // _WRAP_US * _WRAP_US
                file.write(_head(head + (f"% T0 {t0_us}\n" if t0_us else "")))
            _check_steps(np.diff(chunk.t_us, prepend=last_us))
            last_us = int(chunk.t_us[-1])
            file.write(encode_dat(chunk))
        if last_us is None:
            file.write(_head(head))


def encode_dat(chunk: EventChunk) -> bytes:
    """The events of a grid chunk as version 2, times modulo 2^32."""
    assert chunk.x is not None  # noqa: S101  (the writer has checked the geometry)
    assert chunk.y is not None  # noqa: S101
    assert chunk.on is not None  # noqa: S101
    words = np.empty((len(chunk), 2), "<u4")
    words[:, 0] = chunk.t_us & (_WRAP_US - 1)
    words[:, 1] = chunk.x | chunk.y.astype(np.uint32) << 14 | chunk.on.astype(np.uint32) << 28
    return words.tobytes()


def _head(text: str) -> bytes:
    return text.encode("ascii") + bytes((_EVENT_TYPE, _EVENT_BYTES))


def _check_steps(steps_us: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    wrong = np.abs(steps_us) > _LONGEST_STEP_US
    if wrong.any():
        raise RecordingError(
            f"DAT counts time in 32 bits, got a step of {int(steps_us[wrong.argmax()])} us from "
            f"one event to the next, expected at most {_LONGEST_STEP_US}; cut the recording there "
            "(--from, --to) or write NPZ or HDF5"
        )
