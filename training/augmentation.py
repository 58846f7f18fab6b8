"""Recordings varied at the level of events, before they are binned."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.training.config import AugmentConfig
from retempo.training.errors import TrainingError


def check_augmentation(config: AugmentConfig, geometry: Geometry) -> None:
    """Check that a sensor has what an augmentation varies.

    Raises:
        TrainingError: a row of channels cannot be turned, scaled or slanted.
    """
    grid_only = [name for name in ("rotate_deg", "zoom", "shear") if getattr(config, name)]
    if grid_only and not isinstance(geometry, GridGeometry):
        raise TrainingError(f"[augment] {grid_only[0]} needs a grid of pixels, not {geometry}")


def augment(
    events: EventChunk,
    geometry: Geometry,
    config: AugmentConfig,
    dt_us: int,
    rng: np.random.Generator,
) -> EventChunk:
    """Return a variation of a recording; what leaves the sensor is left for binning to refuse.

    About the centre `c` of the grid, `(x, y) <- M (x - c, y - c) + c + shift` with one random M and
    shift a recording, and `t <- stretch t + phase`.
    """
    if config.drop:
        events = _keep(events, rng.random(len(events)) >= config.drop)
    t_us = events.t_us
    if config.time_stretch:
        stretch = 1.0 + rng.uniform(-config.time_stretch, config.time_stretch)
        t_us = np.rint(t_us * stretch).astype(np.int64)
    if config.random_phase:
        t_us = t_us + rng.integers(dt_us)
    events = replace(events, t_us=t_us, t_end_us=int(t_us.max(initial=0)))
    shift = rng.integers(-config.shift, config.shift + 1, 2)
    if not isinstance(geometry, GridGeometry):
        assert events.channel is not None  # noqa: S101  (the geometry has said it)
        return replace(events, channel=_moved(events.channel.astype(np.float64) + shift[0]))
    assert events.x is not None  # noqa: S101
    assert events.y is not None  # noqa: S101
    matrix = _draw_matrix(config, rng)
    centre_x, centre_y = (geometry.width - 1) / 2.0, (geometry.height - 1) / 2.0
    x, y = events.x - centre_x, events.y - centre_y
    return replace(
        events,
        x=_moved(matrix[0, 0] * x + matrix[0, 1] * y + (centre_x + shift[0])),
        y=_moved(matrix[1, 0] * x + matrix[1, 1] * y + (centre_y + shift[1])),
    )


def _draw_matrix(config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = math.radians(config.rotate_deg) * rng.uniform(-1.0, 1.0)
    slant = config.shear * rng.uniform(-1.0, 1.0)
    zoom_x, zoom_y = 1.0 + config.zoom * rng.uniform(-1.0, 1.0, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix: NDArray[np.float64] = turn @ np.array([[zoom_x, slant], [0.0, zoom_y]])
    return matrix


def _moved(address: NDArray[np.float64]) -> Addresses:
    """Round to addresses; a negative one wraps to a large one, which is outside every sensor."""
    return np.rint(address).astype(np.int64).astype(np.uint16)


def _keep(events: EventChunk, kept: NDArray[np.bool_]) -> EventChunk:
    return replace(
        events,
        t_us=events.t_us[kept],
        x=None if events.x is None else events.x[kept],
        y=None if events.y is None else events.y[kept],
        on=None if events.on is None else events.on[kept],
        channel=None if events.channel is None else events.channel[kept],
    )
