"""Summaries: counted in one pass, whatever the chunks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.collect import read_all
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.damage import UntilDamage
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


class Broken(Listed):
    """A source of given chunks, and then an error."""

    def __iter__(self) -> Iterator[EventChunk]:
        yield from self.chunks
        raise RecordingError("it broke")


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
    assert summary.problems == {"outside": 1}
    assert summary.addresses is not None
    assert summary.addresses.sum() == 4
    assert summary.addresses[3, 3] == 1
    assert summary.peak == (2, 1_000)
    assert summary.timeline.filled.sum(axis=0).tolist() == [2, 3]


def test_the_peak_is_of_the_fullest_millisecond_and_of_wider_bins_in_a_long_source() -> None:
    t_us = [0, 2_000, 2_100, 2_900, 3_000, 50_000]
    summary = summarise(Listed((channel_chunk(t_us, [0] * 6),), ChannelGeometry(1)))
    assert summary.peak == (3, 1_000)
    day = summarise(Listed((channel_chunk([0, 1, 86_400_000_000], [0] * 3),), ChannelGeometry(1)))
    assert day.peak == (2, 1_000 << 15)


def test_without_digests_there_are_none() -> None:
    chunk = grid_chunk([1, 2], [3, 4], [True, False])
    assert summarise(Listed((chunk,), GridGeometry(9, 9)), digests=False).sha3_224 == {}


def test_events_of_the_other_kind_lie_outside_as_a_whole() -> None:
    chunk = channel_chunk([1, 2, 3], [0, 1, 2])
    summary = summarise(Listed((chunk,), GridGeometry(9, 9)), digests=False)
    assert (summary.events, summary.outside, summary.hot) == (3, 3, 0)


def test_a_damaged_recording_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    chunk = grid_chunk([1, 2], [3, 4], [True, False])
    read = UntilDamage(Broken((chunk,), GridGeometry(9, 9)))
    assert summarise(read).events == 2
    assert [str(error) for error in read.errors] == ["it broke"]
    with pytest.raises(RecordingError, match="it broke"):
        summarise(UntilDamage(Broken((), GridGeometry(9, 9))))


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
    assert replace(cut, chunks=whole.chunks) == whole
    assert np.array_equal(cut.addresses, whole.addresses)  # type: ignore[arg-type]
    assert cut.timeline.bin_us == whole.timeline.bin_us
    assert (cut.timeline.filled == whole.timeline.filled).all()
    assert read_all(Listed(chunks, ChannelGeometry(10))).t_us.tolist() == [t for t, _ in events]


def _columns(events: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [t for t, _ in events], [c for _, c in events]
