"""A recording repeated to a number of events, its clock going on from copy to copy."""

from pathlib import Path
from typing import Any

import numpy as np

from retempo.sensors.files.evt import coding_of
from retempo.sensors.files.registry import open_recording
from retempo.sensors.summary import summarise

_CLOCK: dict[str, tuple[np.dtype[Any], int]] = {
    "3": (np.dtype("<u2"), 12),
    "2": (np.dtype("<u4"), 28),
}


def repeat(source: Path, events: int, folder: Path) -> Path:
    """Write copies of the body of `source`, at least `events` events in all."""
    content = source.read_bytes()
    coding, header = coding_of(source, content[:65_536])
    dtype, bits = _CLOCK[coding.version]
    body = content[header.size :]
    words = np.frombuffer(body[: len(body) // dtype.itemsize * dtype.itemsize], dtype).copy()
    clock = words >> bits == 8
    values = words[clock] & ((1 << bits) - 1)
    # The last unit of a copy is not whole: the next copy begins one unit later.
    span = int(np.sum(np.diff(values.astype(np.int64)) % (1 << bits))) + 1
    copies = -(-events // summarise(open_recording(source)).events)
    path = folder / f"repeated-{events}.raw"
    with path.open("wb") as file:
        file.write(content[: header.size])
        for copy in range(copies):
            later = (values.astype(np.int64) + copy * span) % (1 << bits)
            words[clock] = (8 << bits) | later
            file.write(words.tobytes())
    return path
