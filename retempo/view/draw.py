"""A source drawn into a file, as its suffix says."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retempo.exporters.files import write_atomically
from retempo.runtime.units import format_duration
from retempo.sensors.addresses import MOST_COUNTED
from retempo.sensors.events import Source
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.summary import RecordingSummary, summarise
from retempo.view.colours import Image
from retempo.view.errors import ViewError
from retempo.view.film import Film, channel_frames, channel_size, check_length, grid_frames
from retempo.view.mp4 import write_mp4
from retempo.view.survey import accumulate, survey
from retempo.view.window import window_of

SUFFIXES = (".png", ".mp4")
_FILM_WINDOW_US = 33_000
_SCROLL_WINDOW_US = 2_000_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What has been drawn: how many events, and in how many frames."""

    summary: RecordingSummary
    frames: int


def check_target(path: Path) -> None:
    """Check, before long work, that a picture can be written there.

    Raises:
        ViewError: its suffix is no picture's, its folder is missing, or it is not ours to write.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ViewError(f"a view is {' or '.join(SUFFIXES)}, got {path.name!r}; see -o")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ViewError(f"cannot write {path}: there is no folder {folder}")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ViewError(f"cannot write {path}: it is a folder, or not yours to write")


def draw_picture(
    source: Source, kind: str, path: Path, *, at_us: int | None = None, window_us: int | None = None
) -> Drawn:
    """Draw a source as a PNG; it is read twice, in bounded memory.

    Args:
        source: one that can be read again.
        kind: what it is, for the title.
        path: where to, see `check_target`.
        at_us: where the frame begins, from the first event; round the middle event if None.
        window_us: how long it is; as long as it takes to see something if None.

    Raises:
        ViewError: there is nothing to draw, or the file cannot be written.
        SensorError: whatever the source raises while it is read.
    """
    from retempo.view.panels import Frame
    from retempo.view.picture import draw_channels, draw_grid, png_of

    _check_size(source)
    surveyed = survey(source)
    _check_events(surveyed.summary)
    if isinstance(source.geometry, GridGeometry):
        begin, end = window_of(surveyed.summary, at_us, window_us)
        figure = draw_grid(surveyed, Frame(begin, end, *accumulate(source, begin, end)), kind)
    else:
        figure = draw_channels(surveyed, kind)
    try:
        write_atomically(path, png_of(figure))
    except OSError as error:
        raise ViewError(f"cannot write {path}: {error.strerror}") from error
    return Drawn(surveyed.summary, 1)


def draw_film(
    source: Source, path: Path, *, fps: float, window_us: int | None, speed: float
) -> Drawn:
    """Draw a source as an MP4; it is read twice, in bounded memory.

    Args:
        source: one that can be read again.
        path: where to, see `check_target`.
        fps: frames a second of watching.
        window_us: what a frame shows; 33 ms of a grid, 2 s of channels if None.
        speed: event time a time of watching.

    Raises:
        ViewError: there is nothing to draw, too much, or the file cannot be written.
        SensorError: whatever the source raises while it is read.
    """
    _check_size(source)
    summary = summarise(source, digests=False)
    _check_events(summary)
    geometry = source.geometry
    grid = isinstance(geometry, GridGeometry)
    usual_us = _FILM_WINDOW_US if grid else _SCROLL_WINDOW_US
    film = Film(
        first_us=summary.t_first_us or 0,
        last_us=summary.t_last_us or 0,
        fps=fps,
        window_us=window_us or usual_us,
        speed=speed,
    )
    check_length(film)
    if isinstance(geometry, GridGeometry):
        images, size = grid_frames(source, film), (geometry.width, geometry.height)
    else:
        images = channel_frames(source, film, geometry.channels)
        size = channel_size(geometry.channels)
    written = write_mp4(path, _with_text(images, film, summary.name), size, fps)
    return Drawn(summary, written)


def _with_text(images: Iterator[Image], film: Film, name: str) -> Iterator[tuple[Image, str]]:
    facts = f"{format_duration(film.window_us)} a frame   {film.speed:g}x   {name}"
    for frame, image in enumerate(images):
        seconds = (film.end_us(frame) - film.first_us) * 1e-6
        yield image, f"{seconds:.3f} s   {facts}"


def _check_size(source: Source) -> None:
    if source.geometry.addresses > 2 * MOST_COUNTED:
        raise ViewError(
            f"{source.name} is of a sensor of {source.geometry}, too large to draw; crop or "
            "downsample it"
        )


def _check_events(summary: RecordingSummary) -> None:
    if summary.events == 0:
        raise ViewError(
            f"there is nothing to draw: {summary.name} has no events in what was asked for"
        )
