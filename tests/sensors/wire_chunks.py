"""Chunks and cursors for tests of the wire format."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.wire import Cursor
from retempo.sensors.wire_header import MAX_TIME_US

GRID = GridGeometry(34, 34, 2)
CHANNELS = ChannelGeometry(700)
# Spans that fit one message, that lie at its limit, and that need one message an event.
SPANS_US = st.sampled_from([0, 10, 65_535, 65_536, 1_000_000, 10**12, MAX_TIME_US])


@st.composite
def chunks(draw: st.DrawFn, *, grid: bool | None = None, most: int = 200) -> EventChunk:
    """Chunks of any order, span, watermark and address."""
    grid = draw(st.booleans()) if grid is None else grid
    size, span_us = draw(st.integers(0, most)), draw(SPANS_US)
    start_us = draw(st.integers(-MAX_TIME_US, MAX_TIME_US - span_us))
    times = st.integers(start_us, start_us + span_us)
    t_us = draw(arrays.arrays(np.int64, size, elements=times))

    def column(dtype: type[np.generic]) -> Any:
        return draw(arrays.arrays(dtype, size))

    addresses: dict[str, Any] = {"channel": column(np.uint16)}
    if grid:
        addresses = {"x": column(np.uint16), "y": column(np.uint16), "on": column(np.bool_)}
    return EventChunk(t_us=t_us, t_end_us=draw(times), lost=draw(st.integers(0, 9)), **addresses)


def cursor(chunk: EventChunk, **values: Any) -> Cursor:
    return Cursor("cam0", GRID if chunk.channel is None else CHANNELS, **({"epoch": 5} | values))


def grid_chunk(events: int = 3, start_us: int = 1_000) -> EventChunk:
    """Events 10 us apart on a diagonal."""
    places = np.arange(events)
    return EventChunk(
        t_us=start_us + 10 * places.astype(np.int64),
        t_end_us=start_us + 10 * events,
        x=places.astype(np.uint16),
        y=(places % 34).astype(np.uint16),
        on=places % 2 == 0,
    )
