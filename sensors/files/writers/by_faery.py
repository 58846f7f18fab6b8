"""The encoders of the faery package, behind our chunks and our errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faery
import numpy as np
from faery import file_encoder
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.format import reason
from retempo.sensors.geometry import GridGeometry

_TO_PASS_ON = (SensorError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)


def encode_with_faery(
    path: Path, grid: GridGeometry, chunks: Iterator[EventChunk], **options: Any
) -> None:
    """Write chunks packet by packet; `options` are those of `faery.file_encoder.events_to_file`.

    Raises:
        RecordingError: faery cannot encode or write an event; or as the chunks.
    """
    try:
        file_encoder.events_to_file(
            (_packet(chunk) for chunk in chunks),
            path,
            (grid.width, grid.height),
            use_write_suffix=False,
            **options,
        )
    except _TO_PASS_ON:
        raise
    # A panic in the Rust code arrives as a bare BaseException.
    except BaseException as error:
        raise RecordingError(f"{path} cannot be written: {reason(error)}") from error


def _packet(chunk: EventChunk) -> NDArray[Any]:
    packet = np.empty(len(chunk), faery.EVENTS_DTYPE)
    packet["t"], packet["x"], packet["y"] = chunk.t_us, chunk.x, chunk.y
    packet["on"] = chunk.on
    return packet
