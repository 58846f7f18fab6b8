"""Summaries: counted in one pass, whatever the chunks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.collect import read_all
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.sensors.summary import summarise


@dataclass(frozen=True)
class Listed:
    """A source of given chunks."""

    chunks: tuple[EventChunk, ...]
    geometry: Geometry
    name: str = "listed"

    def __iter__(self) -> Iterator[EventChunk]:
        return iter(self.chunks)


def grid_chunk(t_us: list[int], x: list[int], on: list[bool], lost: int = 0) -> EventChunk:
    return EventChunk(
        t_us=np.array(t_us, np.int64),
        t_end_us=max(t_us, default=0),
        x=np.array(x, np.uint16),
        y=np.array(x, np.uint16),
        on=np.array(on, np.bool_),
        lost=lost,
    )


def channel_chunk(t_us: list[int], channel: list[int]) -> EventChunk:
    return EventChunk(
        np.array(t_us, np.int64), max(t_us, default=0), channel=np.array(channel, np.uint16)
    )


def test_a_summary_counts_what_the_chunks_hold() -> None:
    chunks = (
        grid_chunk([1_000, 3_000, 2_000], [0, 1, 34], [True, True, False], lost=2),
        grid_chunk([], [], []),
        grid_chunk([1_500, 501_000], [3, 4], [True, False], lost=1),
    )
    summary = summarise(Listed(chunks, GridGeometry(34, 34)))
    assert (summary.chunks, summary.events, summary.lost) == (3, 5, 3)
    assert (summary.t_first_us, summary.t_last_us, summary.duration_us) == (1_000, 501_000, 500_000)
    assert summary.rate_hz == pytest.approx(10.0)
    assert summary.on_share == pytest.approx(0.6)
    assert (summary.outside, summary.backward_steps) == (1, 2)


def test_digests_are_those_of_the_little_endian_columns() -> None:
    summary = summarise(Listed((grid_chunk([1, 2], [3, 4], [True, False]),), GridGeometry(9, 9)))
    expected = {
        "t": b"\x01" + bytes(7) + b"\x02" + bytes(7),
        "x": b"\x03\x00\x04\x00",
        "y": b"\x03\x00\x04\x00",
        "on": b"\x01\x00",
    }
    assert summary.sha3_224 == {
        name: hashlib.sha3_224(data).hexdigest() for name, data in expected.items()
    }


def test_channels_have_a_digest_of_their_own_and_no_polarity() -> None:
    chunk = channel_chunk([4, 6], [69, 70])
    summary = summarise(Listed((chunk,), ChannelGeometry(70)))
    assert summary.outside == 1
    assert summary.on_share is None
    assert summary.sha3_224["channel"] == hashlib.sha3_224(b"\x45\x00\x46\x00").hexdigest()
    assert set(summary.sha3_224) == {"t", "channel"}


def test_a_source_without_events_has_no_times_and_no_rate() -> None:
    for geometry in (GridGeometry(3, 3), ChannelGeometry(3)):
        summary = summarise(Listed((), geometry))
        assert (summary.events, summary.t_first_us, summary.t_last_us) == (0, None, None)
        assert (summary.rate_hz, summary.duration_us, summary.on_share) == (0.0, 0, None)
        assert len(read_all(Listed((), geometry))) == 0


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 12)), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_the_cut_into_chunks_changes_nothing(
    events: list[tuple[int, int]], cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    pieces = [events[a:b] for a, b in pairwise(edges)]
    chunks = tuple(channel_chunk([t for t, _ in p], [c for _, c in p]) for p in pieces)
    whole = summarise(Listed((channel_chunk(*map(list, _columns(events))),), ChannelGeometry(10)))
    cut = summarise(Listed(chunks, ChannelGeometry(10)))
    for name in ("events", "t_first_us", "t_last_us", "outside", "backward_steps", "sha3_224"):
        assert getattr(cut, name) == getattr(whole, name)
    assert read_all(Listed(chunks, ChannelGeometry(10))).t_us.tolist() == [t for t, _ in events]


def _columns(events: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [t for t, _ in events], [c for _, c in events]
