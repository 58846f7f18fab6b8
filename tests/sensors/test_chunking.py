"""Decoded columns cut into chunks: nothing lost, no promise broken."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retempo.sensors.files.chunking as chunking
from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.chunking import chunk_any_order, chunk_forward, watermarks


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
    cuts = [times[i : i + chunk_events] for i in range(0, len(times), chunk_events)]
    latest, earliest = (np.array([f(cut) for cut in cuts], np.int64) for f in (max, min))
    ends = watermarks(latest, earliest).tolist()
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
    streamed = list(chunk_forward((columns(packet) for packet in packets), chunk_events, "s"))
    passes = list(chunk_any_order(lambda: map(columns, packets), chunk_events, "s"))
    for chunks in (streamed, passes):
        assert [time for chunk in chunks for time in chunk.t_us.tolist()] == flat
        assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
        assert all(0 < len(chunk) <= chunk_events for chunk in chunks)
        assert all(len(chunk) == chunk_events for chunk in chunks[:-1])


@given(st.lists(st.lists(st.integers(-99, 99), max_size=9), max_size=9), st.integers(1, 12))
def test_a_file_too_long_to_hold_gives_the_chunks_of_one_that_is_held(
    packets: list[list[int]], chunk_events: int
) -> None:
    held = list(chunk_any_order(lambda: map(columns, packets), chunk_events, "s"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "HELD_EVENTS", 0)
        twice = list(chunk_any_order(lambda: map(columns, packets), chunk_events, "s"))
    assert [chunk.t_us.tolist() for chunk in twice] == [chunk.t_us.tolist() for chunk in held]
    assert [chunk.t_end_us for chunk in twice] == [chunk.t_end_us for chunk in held]


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_what_was_read_before_the_damage_comes_out_before_the_error(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking, "HELD_EVENTS", held)

    def decode() -> Iterator[Columns]:
        yield columns([5, 3])
        raise RecordingError("the end")

    seen: list[EventChunk] = []
    with pytest.raises(RecordingError, match="the end"):
        seen.extend(chunk_any_order(decode, 1, "s"))
    assert [chunk.t_us.tolist() for chunk in seen] == [[5], [3]]


def test_the_events_before_a_failure_come_out_before_it() -> None:
    def breaks() -> Iterator[Columns]:
        yield columns([1, 2, 3])
        raise RecordingError("it broke")

    for chunks in (chunk_forward(breaks(), 64, ""), chunk_any_order(breaks, 64, "")):
        seen: list[EventChunk] = []
        with pytest.raises(RecordingError, match="it broke"):
            seen.extend(chunks)
        assert [chunk.t_us.tolist() for chunk in seen] == [[1, 2, 3]]


@pytest.mark.parametrize("second", [[1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_a_file_that_changes_between_the_passes_is_named(
    second: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking, "HELD_EVENTS", 0)
    passes = iter([[1, 2, 3], second])
    with pytest.raises(RecordingError, match="s changed while it was read"):
        list(chunk_any_order(lambda: iter([columns(next(passes))]), 2, "s"))
