"""Drawing what is unusual: one event, one pixel, a long strip, a clock that leaps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.view.draw import draw_film, draw_picture
from retempo.view.errors import ViewError


@dataclass(frozen=True)
class Listed:
    chunks: tuple[EventChunk, ...]
    geometry: Geometry
    name: str = "listed"

    def __iter__(self) -> Iterator[EventChunk]:
        return iter(self.chunks)


def source(geometry: Geometry, t_us: list[int]) -> Listed:
    zeros = np.zeros(len(t_us), np.uint16)
    grid = isinstance(geometry, GridGeometry)
    chunk = EventChunk(
        np.array(t_us, np.int64),
        max(t_us),
        x=zeros if grid else None,
        y=zeros if grid else None,
        on=zeros > 0 if grid else None,
        channel=None if grid else zeros,
    )
    return Listed((chunk,), geometry)


GEOMETRIES = [
    GridGeometry(1, 1),
    GridGeometry(4_000, 2),
    GridGeometry(2, 1_500),
    GridGeometry(30, 30, polarities=1),
    ChannelGeometry(1),
    ChannelGeometry(1_000),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_one_event_on_any_sensor_is_a_picture_and_a_film(
    geometry: Geometry, tmp_path: Path
) -> None:
    one = source(geometry, [5])
    assert draw_picture(one, "TEST", tmp_path / "a.png").summary.events == 1
    film = draw_film(one, tmp_path / "a.mp4", fps=30.0, window_us=None, speed=1.0)
    assert film.frames == 1
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("geometry", [GridGeometry(30, 30), ChannelGeometry(20)], ids=str)
def test_a_clock_that_leaps_is_a_picture_and_no_film(geometry: Geometry, tmp_path: Path) -> None:
    leaping = source(geometry, [-(2**61), 0, 7, 2**61])
    assert draw_picture(leaping, "TEST", tmp_path / "a.png").summary.events == 4
    with pytest.raises(ViewError, match="choose a part with --from and --to"):
        draw_film(leaping, tmp_path / "a.mp4", fps=30.0, window_us=None, speed=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_long_name_of_other_letters_and_many_problems_are_drawn_without_a_warning(
    tmp_path: Path,
) -> None:
    """Warnings are errors in these tests."""
    one = source(GridGeometry(30, 30), [5, 900])
    problems = {f"kind {k}": k for k in range(1, 9)}
    chunk = replace(one.chunks[0], problems=problems)
    named = Listed((chunk,), GridGeometry(30, 30), "事件 $x$ _^" * 40)
    assert draw_picture(named, "TEST", tmp_path / "a.png").summary.problems == problems
    assert draw_film(named, tmp_path / "a.mp4", fps=30.0, window_us=None, speed=1.0).frames == 1


def test_a_sensor_beyond_all_sensors_is_refused(tmp_path: Path) -> None:
    vast = source(GridGeometry(65_535, 65_535), [5])
    with pytest.raises(ViewError, match="too large to draw; crop or downsample it"):
        draw_picture(vast, "TEST", tmp_path / "a.png")
