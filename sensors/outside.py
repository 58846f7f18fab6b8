"""Which events a sensor has no address for."""

import numpy as np

from retempo.sensors.events import EventChunk, Polarities
from retempo.sensors.geometry import Geometry, GridGeometry


def outside(chunk: EventChunk, geometry: Geometry) -> Polarities:
    """Which events of a chunk the geometry has no address for; shape `(events,)`.

    A chunk of the other kind (channels against a grid) lies outside as a whole.
    """
    if isinstance(geometry, GridGeometry):
        if chunk.x is None or chunk.y is None:
            return np.ones(len(chunk), np.bool_)
        return (chunk.x >= geometry.width) | (chunk.y >= geometry.height)
    if chunk.channel is None:
        return np.ones(len(chunk), np.bool_)
    return chunk.channel >= geometry.channels
