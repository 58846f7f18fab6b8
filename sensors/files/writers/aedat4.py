"""AEDAT 4 written by faery: one track of events, LZ4, a table of packets at the end."""

from collections.abc import Iterator
from pathlib import Path

from retempo.sensors.events import EventChunk
from retempo.sensors.files.writers.by_faery import encode_with_faery
from retempo.sensors.files.writers.checks import from_zero, going_forward, need_grid
from retempo.sensors.geometry import Geometry

_NAME = "AEDAT4"
# Addresses are signed there.
_MOST_SIDE = (1 << 15) - 1


def write_aedat4(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write one packet a chunk.

    Raises:
        RecordingError: channels, a side above 32767, a time below 0 or one that goes back.
    """
    grid = need_grid(geometry, _NAME, _MOST_SIDE)
    events = going_forward(from_zero(chunks, _NAME), _NAME)
    encode_with_faery(path, grid, events, file_type="aedat")
