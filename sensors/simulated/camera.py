"""The simulated camera: contrast pixels before a still image, moved by three saccades.

Each pixel fires when its log intensity has changed by its own threshold since its last event
(Lichtsteiner et al. 2008; Rebecq et al. 2018, ESIM, section 3), and now and then by chance. The
three saccades trace a triangle as in N-MNIST (Orchard et al. 2015, section 2.2).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np

from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.simulated.crossings import (
    Crossings,
    Floats,
    Moving,
    find_crossings,
    outlasting_refractory,
    view_at,
)

GEOMETRY = GridGeometry(34, 34)

# Below this no sensor works, and the events of one recording would fill the memory.
_LEAST_THRESHOLD = 0.01


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """What the pixels and the movement are like.

    Thresholds are changes of the natural logarithm of intensity; `threshold_mismatch` is the
    standard deviation of a pixel's threshold as a share of it. The image's 0 is seen as
    `dark_intensity`, its 1 as 1. `background_rate_hz` is that of one pixel. `saccade_px` is the
    triangle's width and height. `step_us` is the grid on which the movement is sampled, between
    whose points crossings are interpolated.

    Raises:
        SensorError: a value beyond what its unit allows.
    """

    contrast_threshold_on: float = 0.2
    contrast_threshold_off: float = 0.2
    threshold_mismatch: float = 0.05
    dark_intensity: float = 0.25
    refractory_us: int = 1_000
    background_rate_hz: float = 0.5
    duration_us: int = 300_000
    saccade_px: float = 5.0
    step_us: int = 1_000

    def __post_init__(self) -> None:
        least = {
            "contrast_threshold_on": _LEAST_THRESHOLD,
            "contrast_threshold_off": _LEAST_THRESHOLD,
            "dark_intensity": 0.001,
            "duration_us": 1,
            "step_us": 1,
        }
        most = {"dark_intensity": 1.0}
        for name in (each.name for each in fields(self)):
            value, low, high = getattr(self, name), least.get(name, 0), most.get(name, np.inf)
            # The comparison is written so that NaN fails it.
            if not (low <= value <= high and np.isfinite(value)):
                span = f"from {low} to {high}" if name in most else f"a finite number from {low} up"
                raise SensorError(f"{name} is {value}, expected {span}")


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCamera:
    """A source that shows an image to simulated pixels; the same seed gives the same events.

    The image stands in the middle of the view, dark around. Chunks span `chunk_us` of the
    sensor's time each, empty ones too, so that the watermark runs on through silence and ends at
    `duration_us`.

    Shapes: `image` `(rows, columns)`, values 0 to 1. Units: microseconds.

    Raises:
        SensorError: the image is no grid of values from 0 to 1, or `chunk_us` is below 1.
    """

    image: Floats
    geometry: GridGeometry = GEOMETRY
    seed: int = 0
    parameters: CameraParameters = field(default_factory=CameraParameters)
    name: str = "simulated"
    chunk_us: int = 10_000

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or not ((self.image >= 0) & (self.image <= 1)).all():
            raise SensorError(
                f"the image has shape {self.image.shape}, expected (rows, columns) of values from "
                "0 to 1; divide it by its largest value"
            )
        if self.chunk_us < 1:
            raise SensorError(f"chunk_us is {self.chunk_us}, expected at least 1")

    def __iter__(self) -> Iterator[EventChunk]:
        whole = record(self)
        ends = np.arange(self.chunk_us, whole.t_end_us + self.chunk_us, self.chunk_us)
        cuts = np.searchsorted(whole.t_us, ends).tolist()
        start = 0
        for sequence, (end_us, cut) in enumerate(zip(ends.tolist(), cuts, strict=True)):
            part = slice(start, cut)
            yield replace(
                whole,
                t_us=whole.t_us[part],
                t_end_us=min(end_us, whole.t_end_us),
                x=None if whole.x is None else whole.x[part],
                y=None if whole.y is None else whole.y[part],
                on=None if whole.on is None else whole.on[part],
                sequence=sequence,
            )
            start = cut


def record(camera: SimulatedCamera) -> EventChunk:
    """All events of one showing as a single chunk in time order, from 0 to `duration_us`."""
    rng = np.random.default_rng(camera.seed)
    grid, known = camera.geometry, camera.parameters
    signal = find_crossings(_moving(camera, rng))
    noise = _background(grid, known, rng)
    t_us = np.concatenate([signal.t_us, noise.t_us])
    # Stable, so that equal times keep one order and the seed decides everything.
    order = np.argsort(t_us, kind="stable")
    order = order[t_us[order] < known.duration_us]
    pixel = np.concatenate([signal.pixel, noise.pixel])
    order = order[
        outlasting_refractory(
            t_us[order], pixel[order], grid.width * grid.height, known.refractory_us
        )
    ]
    return EventChunk(
        t_us=t_us[order],
        t_end_us=known.duration_us,
        x=(pixel[order] % grid.width).astype(np.uint16),
        y=(pixel[order] // grid.width).astype(np.uint16),
        on=np.concatenate([signal.on, noise.on])[order],
        stream=camera.name,
    )


def saccade_path(parameters: CameraParameters) -> tuple[Floats, Floats]:
    """The camera's position at each sampled time: three equal saccades round a triangle.

    Each side starts and ends at rest: with `u` from 0 to 1 along it, the camera has gone the
    share `u * u * (3 - 2 * u)`.

    Shapes: two arrays `(frames,)`. Units: pixels from the middle.
    """
    frames = -(-parameters.duration_us // parameters.step_us) + 1
    phase = 3.0 * np.arange(frames) * parameters.step_us / parameters.duration_us
    side = np.minimum(phase.astype(np.int64), 2)
    u = np.minimum(phase - side, 1.0)
    gone = u * u * (3.0 - 2.0 * u)
    half = parameters.saccade_px / 2.0
    x = np.array([-half, 0.0, half, -half])
    y = np.array([-half, half, -half, -half])
    return x[side] + (x[side + 1] - x[side]) * gone, y[side] + (y[side + 1] - y[side]) * gone


def _moving(camera: SimulatedCamera, rng: np.random.Generator) -> Moving:
    grid, known = camera.geometry, camera.parameters
    shape = (grid.height, grid.width)
    # One pixel more than the farthest position, for the neighbours that interpolation reads.
    margin = int(np.ceil(known.saccade_px / 2.0)) + 1
    shown = known.dark_intensity + (1.0 - known.dark_intensity) * camera.image
    scene = _centred(np.log(shown), np.log(known.dark_intensity), margin, shape)
    path_x, path_y = saccade_path(known)
    path_x, path_y = path_x + margin, path_y + margin
    spread = np.maximum(1.0 + known.threshold_mismatch * rng.standard_normal((2, *shape)), 0.1)
    on_threshold = known.contrast_threshold_on * spread[0]
    off_threshold = known.contrast_threshold_off * spread[1]
    # Each pixel starts somewhere between its two thresholds, else all would first fire together.
    phase = rng.random(shape)
    start = view_at(scene, float(path_x[0]), float(path_y[0]), shape)
    level = start + phase * off_threshold - (1.0 - phase) * on_threshold
    return Moving(scene, path_x, path_y, known.step_us, on_threshold, off_threshold, level)


def _centred(image: Floats, around: float, margin: int, shape: tuple[int, int]) -> Floats:
    """The image in the middle of a scene of `shape` and `margin`; what does not fit is cut off."""
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    scene = np.full((height, width), around)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    inner = image[max(-top, 0) : max(-top, 0) + height, max(-left, 0) : max(-left, 0) + width]
    top, left = max(top, 0), max(left, 0)
    scene[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return scene


def _background(grid: GridGeometry, known: CameraParameters, rng: np.random.Generator) -> Crossings:
    pixels = grid.width * grid.height
    events = rng.poisson(known.background_rate_hz * known.duration_us * 1e-6 * pixels)
    return Crossings(
        t_us=rng.integers(0, known.duration_us, events),
        pixel=rng.integers(0, pixels, events),
        on=rng.random(events) < 0.5,
    )
