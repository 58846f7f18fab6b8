"""When each pixel's log intensity crosses its thresholds, and what its refractory time lets out.

Neither kernel takes a logarithm or draws a number, so that each equals its plain twin exactly.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Moving(NamedTuple):
    """A still scene seen through a moving camera, and the pixels that look at it.

    Shapes: `log_scene` `(rows, columns)`, larger than the view by the path's extent; `path_x` and
    `path_y` `(frames,)`, the scene's address under pixel (0, 0), never negative; `on_threshold`,
    `off_threshold` and `level` `(height, width)`, where `level` is the log intensity at the last
    event. Units: pixels, natural logarithms of intensity, microseconds.
    """

    log_scene: Floats
    path_x: Floats
    path_y: Floats
    step_us: int
    on_threshold: Floats
    off_threshold: Floats
    level: Floats


class Crossings(NamedTuple):
    """Threshold crossings in the order of frames and pixels; each column is `(events,)`."""

    t_us: NDArray[np.int64]
    pixel: NDArray[np.int64]
    on: NDArray[np.bool_]


def find_crossings(moving: Moving) -> Crossings:
    """Every crossing, its time interpolated linearly between two frames.

    For a pixel whose log intensity goes from `a` at frame `k` to `b` at frame `k + 1`, the level
    `r` moves by the pixel's threshold at each crossing, at `(k + (r - a) / (b - a)) * step_us`.
    """
    # The columns grow to what the kernel counted, and the second run then fits.
    room = 8192
    while True:
        t_us, pixel = np.empty(room, np.int64), np.empty(room, np.int64)
        on = np.empty(room, np.bool_)
        count = int(_cross(*moving, t_us, pixel, on))
        if count <= room:
            return Crossings(t_us[:count], pixel[:count], on[:count])
        room = count


@njit(cache=True, nogil=True)
def _cross(log_scene, path_x, path_y, step_us, on_threshold, off_threshold, level, t_us, pixel, on):  # type: ignore[no-untyped-def]
    height, width = level.shape
    reference = level.copy()
    seen = np.empty((height, width))
    count = 0
    for frame in range(len(path_x)):
        left, top = int(path_x[frame]), int(path_y[frame])
        fx, fy = path_x[frame] - left, path_y[frame] - top
        start_us = (frame - 1) * step_us
        for y in range(height):
            for x in range(width):
                row, column = top + y, left + x
                upper = log_scene[row, column] * (1.0 - fx) + log_scene[row, column + 1] * fx
                row += 1
                lower = log_scene[row, column] * (1.0 - fx) + log_scene[row, column + 1] * fx
                now = upper * (1.0 - fy) + lower * fy
                before = seen[y, x]
                seen[y, x] = now
                if frame == 0:
                    continue
                up = now > before
                step = on_threshold[y, x] if up else -off_threshold[y, x]
                crossed = reference[y, x] + step
                while (crossed <= now) if up else (crossed >= now):
                    # The level lies between the frames but for rounding.
                    part = (crossed - before) / (now - before) if now != before else 0.0
                    part = min(max(part, 0.0), 1.0)
                    if count < len(t_us):
                        t_us[count] = start_us + int(part * step_us)
                        pixel[count] = y * width + x
                        on[count] = up
                    count += 1
                    reference[y, x] = crossed
                    crossed += step
    return count


def find_crossings_plainly(moving: Moving) -> Crossings:
    """The twin of `find_crossings` in plain Python; equal to the last bit."""
    height, width = moving.level.shape
    reference = moving.level.copy()
    frames = [
        view_at(moving.log_scene, px, py, (height, width))
        for px, py in zip(moving.path_x, moving.path_y, strict=True)
    ]
    events: list[tuple[int, int, bool]] = []
    for frame, (before, now) in enumerate(pairwise(frames)):
        for y, x in np.ndindex(height, width):
            a, b = before[y, x], now[y, x]
            step = moving.on_threshold[y, x] if b > a else -moving.off_threshold[y, x]
            while (reference[y, x] + step <= b) if b > a else (reference[y, x] + step >= b):
                reference[y, x] += step
                part = (reference[y, x] - a) / (b - a) if a != b else 0.0
                within = int(min(max(part, 0.0), 1.0) * moving.step_us)
                events.append((frame * moving.step_us + within, y * width + x, bool(b > a)))
    columns = np.array(events, np.int64).reshape(-1, 3)
    return Crossings(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.bool_))


def view_at(scene: Floats, px: float, py: float, shape: tuple[int, int]) -> Floats:
    """The part of a scene under a view whose pixel (0, 0) lies at (px, py), bilinearly."""
    left, top = int(px), int(py)
    fx, fy = px - left, py - top
    part = scene[top : top + shape[0] + 1, left : left + shape[1] + 1]
    across = part[:, :-1] * (1.0 - fx) + part[:, 1:] * fx
    view: Floats = across[:-1] * (1.0 - fy) + across[1:] * fy
    return view


@njit(cache=True, nogil=True)
def outlasting_refractory(t_us, pixel, pixels, refractory_us):  # type: ignore[no-untyped-def]
    """Which events in time order come at least `refractory_us` after their pixel's last kept one.

    Shapes: `t_us` and `pixel` `(events,)`, the result the same, bool. Units: us.
    """
    last = np.zeros(pixels, np.int64)
    fired = np.zeros(pixels, np.bool_)
    keep = np.zeros(len(t_us), np.bool_)
    for event in range(len(t_us)):
        address = pixel[event]
        if not fired[address] or t_us[event] - last[address] >= refractory_us:
            keep[event] = True
            fired[address] = True
            last[address] = t_us[event]
    return keep


def outlasting_refractory_plainly(
    t_us: NDArray[np.int64], pixel: NDArray[np.int64], refractory_us: int
) -> NDArray[np.bool_]:
    """The twin of `outlasting_refractory` in plain Python."""
    last: dict[int, int] = {}
    keep = np.zeros(len(t_us), np.bool_)
    for event, (time, address) in enumerate(zip(t_us.tolist(), pixel.tolist(), strict=True)):
        if address not in last or time - last[address] >= refractory_us:
            keep[event] = True
            last[address] = time
    return keep
