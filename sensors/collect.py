"""A source read to its end as one chunk."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk, Source
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import total


def read_all(source: Source) -> EventChunk:
    """All events of a source that ends, in its order, with the last watermark and every count.

    A source without chunks gives a chunk of no events whose watermark is 0.
    """
    chunks = list(source)
    grid = isinstance(source.geometry, GridGeometry)
    return EventChunk(
        t_us=np.concatenate([np.zeros(0, np.int64), *(chunk.t_us for chunk in chunks)]),
        t_end_us=chunks[-1].t_end_us if chunks else 0,
        x=_joined(chunks, "x", np.uint16) if grid else None,
        y=_joined(chunks, "y", np.uint16) if grid else None,
        on=_joined(chunks, "on", np.bool_) if grid else None,
        channel=None if grid else _joined(chunks, "channel", np.uint16),
        stream=source.name,
        lost=sum(chunk.lost for chunk in chunks),
        problems=total([chunk.problems for chunk in chunks]),
        removed=total([chunk.removed for chunk in chunks]),
    )


def _joined(chunks: list[EventChunk], name: str, dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(getattr(chunk, name) for chunk in chunks)])
