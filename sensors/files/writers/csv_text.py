"""CSV written: `t_us,x@WIDTH,y@HEIGHT,on` or `t_us,channel@CHANNELS`, one event a line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry


def write_csv(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write lines of whole numbers; `on` is 1 or 0."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        if isinstance(geometry, GridGeometry):
            file.write(f"t_us,x@{geometry.width},y@{geometry.height},on\n")
        else:
            file.write(f"t_us,channel@{geometry.channels}\n")
        for chunk in chunks:
            file.write(encode_csv(chunk))


def encode_csv(chunk: EventChunk) -> str:
    """The events of a chunk as lines."""
    columns = [c for c in (chunk.t_us, chunk.x, chunk.y, chunk.on, chunk.channel) if c is not None]
    line = ",".join(["%d"] * len(columns)) + "\n"
    # One format of all lines is several times as fast as one a line.
    numbers = np.stack([column.astype(np.int64) for column in columns], axis=1)
    return line * len(chunk) % tuple(numbers.ravel().tolist())
