"""Films: every frame shows the window before its end, whatever the chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.view.colours import BACKGROUND, OFF, ON
from retempo.view.errors import ViewError
from retempo.view.film import (
    MOST_FRAMES,
    Film,
    channel_frames,
    channel_size,
    check_length,
    grid_frames,
    remember,
    remember_plainly,
)
from retempo.view.mp4 import magnified, write_mp4
from tests.builders import cut, make_chunk, seeds

GRID = GridGeometry(6, 5)


@dataclass(frozen=True)
class Listed:
    chunks: tuple[EventChunk, ...]
    geometry: Geometry
    name: str = "listed"

    def __iter__(self) -> Iterator[EventChunk]:
        return iter(self.chunks)


def grid_chunk(events: list[tuple[int, int, int, bool]]) -> EventChunk:
    t_us, x, y, on = zip(*events, strict=True)
    return EventChunk(
        np.array(t_us, np.int64),
        max(t_us),
        x=np.array(x, np.uint16),
        y=np.array(y, np.uint16),
        on=np.array(on, np.bool_),
    )


def frames_of(chunks: tuple[EventChunk, ...], film: Film) -> list[NDArray[np.uint8]]:
    return [image.copy() for image in grid_frames(Listed(chunks, GRID), film)]


def test_an_event_is_on_coloured_where_it_fired_fades_and_goes() -> None:
    chunk = grid_chunk([(1_000, 4, 3, True), (10_999, 0, 0, False), (40_000, 5, 4, True)])
    film = Film(1_000, 40_000, fps=100.0, window_us=20_000, speed=1.0)
    assert film.frames == 4
    frames = frames_of((chunk,), film)
    assert len(frames) == 4
    assert tuple(frames[0][0, 0]) == OFF  # fired in the last microsecond
    bright, faint = frames[0][3, 4].astype(int), frames[1][3, 4].astype(int)
    assert bright.sum() > faint.sum() > sum(BACKGROUND)
    assert bright[0] > bright[2]  # the hue of on
    assert (frames[1] != BACKGROUND).any(axis=2).sum() == 2
    assert (frames[2] == BACKGROUND).all()  # both are older than the window
    red, _, blue = frames[3][4, 5]
    assert red > blue
    assert (frames[3] != BACKGROUND).any(axis=2).sum() == 1


@given(
    seeds,
    st.lists(st.integers(0, 200), max_size=5),
    st.integers(1, 30_000),
    st.sampled_from([10.0, 30.0, 60.0]),
    st.sampled_from([0.1, 1.0, 3.0]),
)
def test_chunks_do_not_show_and_each_pixel_is_its_last_event(
    seed: int, cuts: list[int], window_us: int, fps: float, speed: float
) -> None:
    chunk = make_chunk(200, GRID.width, GRID.height, 300_000, seed, start_us=5_000)
    film = Film(int(chunk.t_us[0]), int(chunk.t_us[-1]), fps, window_us, speed)
    whole = frames_of((chunk,), film)
    pieces = frames_of(tuple(cut(chunk, cuts)), film)
    assert len(whole) == len(pieces) == film.frames
    assert all((a == b).all() for a, b in zip(whole, pieces, strict=True))
    assert chunk.x is not None
    assert chunk.y is not None
    for number, frame in enumerate(whole):
        end = film.end_us(number)
        shown = (chunk.t_us < end) & (chunk.t_us >= end - window_us)
        lit = np.zeros((GRID.height, GRID.width), bool)
        lit[chunk.y[shown], chunk.x[shown]] = True
        assert ((frame != BACKGROUND).any(axis=2) == lit).all()


@given(seeds, st.integers(0, 60), st.integers(0, 120))
def test_the_kernel_that_remembers_agrees_with_numpy(seed: int, start: int, end_us: int) -> None:
    """Times go back, and several events share a pixel and a microsecond."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(0, 100, 60),
        rng.integers(0, 3, 60).astype(np.uint16),
        rng.integers(0, 2, 60).astype(np.uint16),
        rng.random(60) < 0.5,
    )
    last_us, last_on = rng.integers(0, 100, (2, 3)), rng.random((2, 3)) < 0.5
    plain_us, plain_on = last_us.copy(), last_on.copy()
    done = remember(*columns, start, end_us, last_us, last_on)
    assert done == remember_plainly(*columns, start, end_us, plain_us, plain_on)
    assert (last_us == plain_us).all()
    assert (last_on == plain_on).all()


def test_slow_motion_has_more_frames_and_a_film_for_ever_is_refused() -> None:
    assert Film(0, 999_999, 30.0, 33_000, 1.0).frames == 30
    assert Film(0, 999_999, 30.0, 33_000, 0.1).frames == 300
    with pytest.raises(ViewError, match=r"--from and --to, or a larger --speed"):
        check_length(Film(0, 2**60, 30.0, 33_000, 1.0))
    check_length(Film(0, 999_999, 30.0, 33_000, 1.0))
    assert MOST_FRAMES >= 20 * 60 * 30


def test_channels_scroll_from_right_to_left_with_the_highest_on_top() -> None:
    t_us = np.array([100, 47_900], np.int64)
    chunk = EventChunk(t_us, 47_900, channel=np.array([0, 3], np.uint16))
    film = Film(100, 47_900, fps=1_000_000 / 24_000, window_us=48_000, speed=1.0)
    frames = list(channel_frames(Listed((chunk,), ChannelGeometry(4)), film, 4))
    width, height = channel_size(4)
    assert len(frames) == film.frames == 2
    assert frames[0].shape == (height, width, 3)
    lit = [np.argwhere((frame == ON).all(axis=2)) for frame in frames]
    rows = height // 4
    assert set(lit[0][:, 0]) == set(range(3 * rows, height))  # channel 0, the lowest
    # 24 ms before the end of the first frame: half a window to the left of the edge.
    assert abs(int(lit[0][:, 1].mean()) - width // 2) <= 3
    first = lit[1][lit[1][:, 0] >= 3 * rows]
    second = lit[1][lit[1][:, 0] < rows]
    assert first[:, 1].max() <= 3
    assert width - second[:, 1].min() <= 8
    assert len(lit[1]) == len(first) + len(second)


def test_a_film_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path
    image = np.zeros((5, 6, 3), np.uint8)

    def broken() -> Iterator[tuple[NDArray[np.uint8], str]]:
        yield image, "0 s"
        raise ViewError("it broke")

    with pytest.raises(ViewError, match="it broke"):
        write_mp4(folder / "a.mp4", broken(), (6, 5), 30.0)
    assert list(folder.iterdir()) == []
    assert write_mp4(folder / "a.mp4", iter([(image, "0 s")] * 3), (6, 5), 30.0) == 3
    (written,) = folder.iterdir()
    assert written.read_bytes()[4:8] == b"ftyp"


def test_small_sensors_are_magnified() -> None:
    assert magnified(34, 34) == 21
    assert magnified(346, 260) == 2
    assert magnified(1_280, 720) == 1
