"""Decoded columns cut into chunks: nothing lost, no promise broken."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.files.chunking import chunk_stream, chunk_whole, watermarks
from retempo.sensors.files.format import Columns


def columns(t_us: list[int]) -> Columns:
    count = len(t_us)
    return Columns(
        np.array(t_us, np.int64),
        np.arange(count).astype(np.uint16),
        np.arange(count).astype(np.uint16),
        np.arange(count) % 2 == 0,
    )


@given(st.lists(st.integers(-50, 50), max_size=40), st.integers(1, 12))
def test_a_watermark_is_the_latest_time_that_no_later_event_contradicts(
    times: list[int], chunk_events: int
) -> None:
    t_us = np.array(times, np.int64)
    ends = watermarks(t_us, chunk_events).tolist()
    assert len(ends) == -(-len(times) // chunk_events)
    for chunk, end in enumerate(ends):
        later = times[(chunk + 1) * chunk_events :]
        seen = times[: (chunk + 1) * chunk_events]
        assert end == min([max(seen), *later])
    assert ends == sorted(ends)


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=9),
    st.integers(1, 12),
)
def test_chunking_keeps_every_event_in_order_however_the_decoder_cuts_its_packets(
    packets: list[list[int]], chunk_events: int
) -> None:
    flat = [time for packet in packets for time in packet]
    streamed = list(chunk_stream((columns(packet) for packet in packets), chunk_events, "s"))
    whole = list(chunk_whole(columns(flat), chunk_events, "s"))
    for chunks in (streamed, whole):
        assert [time for chunk in chunks for time in chunk.t_us.tolist()] == flat
        assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
        assert all(0 < len(chunk) <= chunk_events for chunk in chunks)
        assert all(len(chunk) == chunk_events for chunk in chunks[:-1])
