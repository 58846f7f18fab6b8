"""Pictures: what was drawn is where the events were."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.view.colours import BACKGROUND, OFF, ON
from retempo.view.panels import Frame
from retempo.view.picture import draw_channels, draw_grid
from retempo.view.survey import accumulate, survey
from retempo.view.window import telling_span_us, window_of
from tests.builders import cut, make_chunk, seeds

GRID = GridGeometry(20, 10)


@dataclass(frozen=True)
class Listed:
    chunks: tuple[EventChunk, ...]
    geometry: Geometry
    name: str = "a $recording$"

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
        problems={"damaged": 3},
    )


def pixels_of(figure: Any) -> Any:
    """The picture as `(height, width, 3)`, drawn at the figure's own resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def colour_at(figure: Any, axes: Any, x: float, y: float) -> tuple[int, ...]:
    picture = pixels_of(figure)
    column, row = axes.transData.transform((x, y))
    return tuple(picture[picture.shape[0] - 1 - int(row), int(column)].tolist())


def test_the_events_of_the_frame_have_their_colours_at_their_pixels() -> None:
    chunk = grid_chunk(
        [(0, 1, 1, False), (500, 7, 2, True), (600, 12, 8, False), (9_000, 3, 3, True)]
    )
    source = Listed((chunk,), GRID)
    frame = Frame(400, 1_000, *accumulate(source, 400, 1_000))
    assert (frame.off.sum(), frame.on.sum()) == (1, 1)
    figure = draw_grid(survey(source), frame, "TEST")
    axes = next(a for a in figure.get_axes() if "2 events" in a.get_title(loc="left"))
    assert colour_at(figure, axes, 7, 2) == ON
    assert colour_at(figure, axes, 12, 8) == OFF
    for x, y in ((1, 1), (3, 3), (2, 7), (8, 2)):
        assert colour_at(figure, axes, x, y) == BACKGROUND


def test_the_page_states_what_it_shows() -> None:
    chunk = grid_chunk([(1_000, 1, 1, False), (501_000, 7, 2, True)])
    source = Listed((chunk,), GRID)
    figure = draw_grid(survey(source), Frame(0, 10, *accumulate(source, 0, 10)), "EVT3")
    texts = [text.get_text() for part in figure.subfigs for text in part.texts]
    joined = " ".join(texts)
    for said in ("EVT3", "20x10x2", "2 events", "500 ms", "50% on", "problems: 3 damaged"):
        assert said in joined
    assert r"a \$recording\$" in joined


def test_positions_over_time_are_drawn_where_the_events_were() -> None:
    chunk = grid_chunk([(k * 1_000, 2 if k < 500 else 17, 5, True) for k in range(1_000)])
    source = Listed((chunk,), GRID)
    figure = draw_grid(survey(source), Frame(0, 10, *accumulate(source, 0, 10)), "TEST")
    axes = next(a for a in figure.get_axes() if a.get_ylabel().startswith("x "))
    lit = {(t, x): sum(colour_at(figure, axes, t, x)) for t in (0.25, 0.75) for x in (2, 17)}
    assert lit[0.25, 2] > 300 > lit[0.25, 17]
    assert lit[0.75, 17] > 300 > lit[0.75, 2]


@pytest.mark.parametrize("events", [60, 30_000])
def test_a_raster_has_its_dots_and_nothing_else(events: int) -> None:
    """Few events are dots, many are counts a place."""
    t_us = np.sort(np.arange(events) * 1_000_000 // events)
    channel = np.where(t_us < 500_000, 4, 11).astype(np.uint16)
    chunk = EventChunk(t_us.astype(np.int64), 1_000_000, channel=channel)
    source = Listed((chunk,), ChannelGeometry(16))
    surveyed = survey(source)
    assert (surveyed.dots is None) == (events == 30_000)
    figure = draw_channels(surveyed, "TEST")
    axes = next(a for a in figure.get_axes() if a.get_ylabel() == "channel")
    dark = {colour_at(figure, axes, t, c) for t, c in ((0.25, 11), (0.75, 4), (0.5, 8), (0.1, 0))}
    assert len(dark) == 1
    low, high = t_us[t_us < 400_000][-1] * 1e-6, t_us[t_us > 600_000][0] * 1e-6
    for t, c in ((low, 4), (high, 11)):
        assert sum(colour_at(figure, axes, t, c)) > sum(next(iter(dark))) + 200
    bottom, top = axes.get_ylim()
    assert bottom < top


@given(seeds, st.lists(st.integers(0, 300), max_size=4))
def test_a_survey_does_not_show_the_chunks(seed: int, cuts: list[int]) -> None:
    chunk = make_chunk(300, GRID.width, GRID.height, 50_000, seed)
    whole, pieces = survey(Listed((chunk,), GRID)), survey(Listed(tuple(cut(chunk, cuts)), GRID))
    for name in ("x", "y"):
        assert (whole.profiles[name].filled == pieces.profiles[name].filled).all()
        column = getattr(chunk, name)
        side = getattr(GRID, {"x": "width", "y": "height"}[name])
        counts = np.bincount(column, minlength=side)
        assert whole.profiles[name].filled.sum(axis=0).tolist() == counts.tolist()
    for a, b in zip(
        accumulate(Listed((chunk,), GRID), 10_000, 20_000),
        accumulate(Listed(tuple(cut(chunk, cuts)), GRID), 10_000, 20_000),
        strict=True,
    ):
        assert (a == b).all()


def test_the_window_lies_round_the_middle_event_or_where_it_is_wanted() -> None:
    t_us = [k * 1_000 for k in range(1_000)]
    summary = survey(Listed((grid_chunk([(t, 0, 0, True) for t in t_us]),), GRID)).summary
    assert telling_span_us(summary) == 500_000  # 500 events at 1,000 a second
    begin, end = window_of(summary, None, 10_000)
    assert end - begin == 10_000
    assert abs((begin + end) // 2 - 500_000) < 2_000
    assert window_of(summary, 20_000, 10_000) == (20_000, 30_000)
    begin, end = window_of(summary, None, 10_000_000)
    assert (begin, end) == (0, 10_000_000)
