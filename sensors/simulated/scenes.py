"""Images to show to the simulated camera: enlarged ones, and digits drawn by strokes."""

from itertools import pairwise

import numpy as np

from retempo.sensors.errors import SensorError
from retempo.sensors.simulated.crossings import Floats

# Strokes on a sheet of 4 wide and 6 high, y downwards.
_STROKES: dict[int, tuple[tuple[tuple[float, float], ...], ...]] = {
    0: (((2, 0), (0.8, 0.5), (0.2, 1.8), (0.2, 4.2), (0.8, 5.5), (2, 6), (3.2, 5.5), (3.8, 4.2),
         (3.8, 1.8), (3.2, 0.5), (2, 0)),),
    1: (((0.9, 1.3), (2.2, 0), (2.2, 6)),),
    2: (((0.2, 1.5), (0.8, 0.4), (2, 0), (3.2, 0.4), (3.7, 1.6), (3.1, 3), (0.2, 6), (3.9, 6)),),
    3: (((0.3, 0.8), (1.8, 0), (3.2, 0.5), (3.5, 1.6), (2.9, 2.6), (1.6, 2.9), (3.1, 3.3),
         (3.8, 4.4), (3.2, 5.6), (1.8, 6), (0.2, 5.2)),),
    4: (((3, 6), (3, 0), (0.1, 4.2), (3.9, 4.2)),),
    5: (((3.6, 0), (0.7, 0), (0.4, 2.7), (1.9, 2.3), (3.3, 2.9), (3.8, 4.1), (3.2, 5.5),
         (1.8, 6), (0.2, 5.3)),),
    6: (((3.3, 0.2), (1.6, 1), (0.5, 2.7), (0.2, 4.3), (0.8, 5.6), (2, 6), (3.3, 5.5),
         (3.8, 4.3), (3.2, 3.1), (2, 2.7), (0.8, 3.2), (0.2, 4.3)),),
    7: (((0.1, 0), (3.9, 0), (1.4, 6)),),
    8: (((2, 2.8), (0.7, 2.2), (0.5, 1.1), (1.1, 0.2), (2, 0), (2.9, 0.2), (3.5, 1.1),
         (3.3, 2.2), (2, 2.8), (0.6, 3.6), (0.2, 4.6), (0.8, 5.7), (2, 6), (3.2, 5.7),
         (3.8, 4.6), (3.4, 3.6), (2, 2.8)),),
    9: (((3.8, 1.8), (3.2, 2.9), (2, 3.3), (0.8, 2.8), (0.2, 1.7), (0.8, 0.5), (2, 0),
         (3.2, 0.4), (3.8, 1.8), (3.5, 3.6), (2.5, 5.2), (1, 6)),),
}  # fmt: skip
_SHEET_WIDTH, _SHEET_HEIGHT = 4.0, 6.0


def upscale(image: Floats, side: int) -> Floats:
    """The image enlarged to `side` x `side` by bilinear interpolation between pixel centres.

    Shapes: `image` `(rows, columns)`, the result `(side, side)`; values stay in their range.

    Raises:
        SensorError: the image is no grid, or `side` is below 1.
    """
    if image.ndim != 2 or 0 in image.shape or side < 1:
        raise SensorError(
            f"got an image of shape {image.shape} and side {side}, expected (rows, columns) and "
            "at least 1"
        )
    across = _between(image, side)
    enlarged: Floats = _between(across.T, side).T.copy()
    return enlarged


def _between(image: Floats, columns: int) -> Floats:
    """Each row resampled at `columns` points; the outermost values continue to the edges."""
    have = image.shape[1]
    at = np.clip((np.arange(columns) + 0.5) * have / columns - 0.5, 0.0, have - 1.0)
    left = np.minimum(at.astype(np.int64), max(have - 2, 0))
    right = np.minimum(left + 1, have - 1)
    part = at - left
    resampled: Floats = image[:, left] * (1.0 - part) + image[:, right] * part
    return resampled


def digit_image(digit: int, side: int = 20, *, stroke_px: float = 2.4) -> Floats:
    """A digit drawn by strokes with smooth edges, bright on dark.

    Shapes: `(side, side)`, values 0 to 1. Units: pixels.

    Raises:
        SensorError: the digit is not 0 to 9, or `side` is too small for its strokes.
    """
    if digit not in _STROKES:
        raise SensorError(f"got the digit {digit}, expected 0 to 9")
    if side < 4 * stroke_px:
        raise SensorError(f"side is {side}, expected at least {4 * stroke_px:g} pixels")
    scale = (side - stroke_px - 1.0) / _SHEET_HEIGHT
    left = (side - scale * _SHEET_WIDTH) / 2.0
    top = (side - scale * _SHEET_HEIGHT) / 2.0
    y, x = np.mgrid[0:side, 0:side] + 0.5
    distance_px = np.full((side, side), np.inf)
    for stroke in _STROKES[digit]:
        points = np.array(stroke) * scale + (left, top)
        for start, end in pairwise(points):
            distance_px = np.minimum(distance_px, _distance(x, y, start, end))
    return np.clip(stroke_px / 2.0 + 0.5 - distance_px, 0.0, 1.0)


def _distance(x: Floats, y: Floats, start: Floats, end: Floats) -> Floats:
    """How far each point lies from the line between `start` and `end`."""
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along)
    share = np.clip(share, 0.0, 1.0)
    distance: Floats = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    return distance
