"""A recording as the frames of a film, one after the other in bounded memory.

A grid's pixel shows its last event, which fades as it ages and is gone once the window is over:
what one frame needs is a time and a polarity a pixel, however many events there are. Channels
scroll past from right to left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.events import Addresses, Polarities, Source, Times
from retempo.sensors.geometry import GridGeometry
from retempo.view.colours import BACKGROUND, OFF, ON, Image, fade
from retempo.view.errors import ViewError

NEVER = np.iinfo(np.int64).min // 2
FAINTEST = 0.35
MOST_FRAMES = 36_000
_COLOURS = np.array([BACKGROUND, OFF, ON], np.float64)
_TALL = 720
# Each is drawn twice as wide and at least twice as high, or its colour would blur.
_COLUMNS, _ROWS = 480, 360


@dataclass(frozen=True, slots=True)
class Film:
    """What of a recording is filmed: frame `k` shows `window_us` up to `end_us(k)`.

    `speed` is event time a time of watching: 0.1 is slow motion.
    """

    first_us: int
    last_us: int
    fps: float
    window_us: int
    speed: float

    @property
    def frames(self) -> int:
        """As many as it takes to show the last event."""
        return max(1, int(-(-(self.last_us + 1 - self.first_us) // self._step_us)))

    def end_us(self, frame: int) -> int:
        """The first time that a frame does not show."""
        return self.first_us + max(1, round((frame + 1) * self._step_us))

    @property
    def _step_us(self) -> float:
        return self.speed * 1e6 / self.fps


def check_length(film: Film) -> None:
    """Check that a film does not last for ever.

    Raises:
        ViewError: it has more frames than anybody watches.
    """
    if film.frames > MOST_FRAMES:
        raise ViewError(
            f"the film would have {film.frames:,} frames, at most {MOST_FRAMES:,} are made; choose "
            "a part with --from and --to, or a larger --speed"
        )


def grid_frames(source: Source, film: Film) -> Iterator[Image]:
    """Yield each frame of a camera's film; a frame is drawn over when the next is asked for.

    An event that goes back in time is drawn where it is not older than its window.
    Shapes: `(height, width, 3)`.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    geometry = source.geometry
    assert isinstance(geometry, GridGeometry)  # noqa: S101  (the caller has looked)
    shape = geometry.height, geometry.width
    last_us, last_on = np.full(shape, NEVER, np.int64), np.zeros(shape, np.bool_)
    image = np.zeros((*shape, 3), np.uint8)
    frame, frames = 0, film.frames
    end_us = film.end_us(0)
    for chunk in source:
        if chunk.x is None or chunk.y is None or chunk.on is None:
            continue
        done = 0
        while done < len(chunk):
            done = remember(chunk.t_us, chunk.x, chunk.y, chunk.on, done, end_us, last_us, last_on)
            if done < len(chunk):
                fade(last_us, last_on, end_us - 1, film.window_us, _COLOURS, FAINTEST, image)
                yield image
                frame += 1
                end_us = film.end_us(frame)
    while frame < frames:
        fade(last_us, last_on, film.end_us(frame) - 1, film.window_us, _COLOURS, FAINTEST, image)
        yield image
        frame += 1


@njit(cache=True, nogil=True)
def remember(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    start: int,
    end_us: int,
    last_us: NDArray[np.int64],
    last_on: NDArray[np.bool_],
) -> int:
    """Keep the latest event of each pixel, up to the first that is not before `end_us`.

    Shapes: columns `(events,)`; `last_us` and `last_on` `(height, width)`, written to.

    Returns:
        The place of the event that stopped it, or the number of events.
    """
    for k in range(start, len(t_us)):
        if t_us[k] >= end_us:
            return k
        if t_us[k] >= last_us[y[k], x[k]]:
            last_us[y[k], x[k]] = t_us[k]
            last_on[y[k], x[k]] = on[k]
    return len(t_us)


def remember_plainly(
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    start: int,
    end_us: int,
    last_us: NDArray[np.int64],
    last_on: NDArray[np.bool_],
) -> int:
    """Do what `remember` does, in NumPy."""
    beyond = np.flatnonzero(t_us[start:] >= end_us)
    stop = start + int(beyond[0]) if len(beyond) else len(t_us)
    # Of several at one place an assignment keeps the last.
    order = start + np.argsort(t_us[start:stop], kind="stable")
    order = order[t_us[order] >= last_us[y[order], x[order]]]
    last_us[y[order], x[order]], last_on[y[order], x[order]] = t_us[order], on[order]
    return stop


def channel_size(channels: int) -> tuple[int, int]:
    """Return the width and the height of a frame of `channel_frames`."""
    rows = min(channels, _ROWS)
    return 2 * _COLUMNS, rows * (_TALL // rows)


def channel_frames(source: Source, film: Film, channels: int) -> Iterator[Image]:
    """Yield each frame of a cochlea's film: its channels, the highest on top, over the window.

    Shapes: as `channel_size` has it; beyond 360 channels a row holds several.

    Raises:
        SensorError: whatever the source raises while it is read.
    """
    rows = min(channels, _ROWS)
    row_of = rows - 1 - np.arange(channels) * rows // channels
    column_us = max(1, film.window_us // _COLUMNS)
    # A ring: the column of a time is its place modulo the width, `newest` the last one cleared.
    lit = np.zeros((rows, _COLUMNS), np.bool_)
    newest = film.first_us // column_us
    frame, frames = 0, film.frames
    for chunk in source:
        if chunk.channel is None:
            continue
        done = 0
        while done < len(chunk):
            end_us = film.end_us(frame)
            beyond = chunk.t_us[done:] >= end_us
            stop = done + int(beyond.argmax()) if beyond.any() else len(chunk)
            newest = _cleared(lit, newest, (end_us - 1) // column_us)
            column = chunk.t_us[done:stop] // column_us
            shown = column > newest - _COLUMNS
            row = row_of[chunk.channel[done:stop][shown]]
            lit[row, column[shown] % _COLUMNS] = True
            done = stop
            if done < len(chunk):
                yield _scrolled(lit, newest)
                frame += 1
    while frame < frames:
        newest = _cleared(lit, newest, (film.end_us(frame) - 1) // column_us)
        yield _scrolled(lit, newest)
        frame += 1


def _cleared(lit: NDArray[np.bool_], newest: int, column: int) -> int:
    for old in range(max(newest + 1, column - _COLUMNS + 1), column + 1):
        lit[:, old % _COLUMNS] = False
    return max(newest, column)


def _scrolled(lit: NDArray[np.bool_], newest: int) -> Image:
    rolled = np.roll(lit, -(newest + 1) % _COLUMNS, axis=1)
    colours = np.array([BACKGROUND, ON], np.uint8)
    image: Image = colours[rolled.astype(np.intp)]
    return image.repeat(_TALL // len(lit), axis=0).repeat(2, axis=1)
