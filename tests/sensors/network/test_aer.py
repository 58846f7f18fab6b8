"""Datagrams decoded: what real senders sent, every event round and back, and any bytes at all."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.network.aer import (
    LAYOUTS,
    NO_TIME,
    decode_aer,
    decode_datagrams,
    unwrapped,
)

VECTORS = Path(__file__).resolve().parents[2] / "golden" / "udp"

addresses = st.tuples(st.integers(0, 0x7FFF), st.integers(0, 0x7FFF), st.booleans())
times = st.none() | st.integers(0, 2**32 - 1)


def spif(x: int, y: int, on: bool, t_us: int | None) -> bytes:
    """An event as the table of SPIF's documentation has it."""
    word = (t_us is None) << 31 | x << 16 | on << 15 | y
    return struct.pack("<I", word) + (b"" if t_us is None else struct.pack("<I", t_us))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_what_the_real_senders_sent(layout: str) -> None:
    """AEStream 0.6.4 and faery 0.7.1; made by benchmarks.udp_senders."""
    events = np.load(VECTORS / "events.npy")
    data = (VECTORS / f"{layout}.bin").read_bytes()
    columns = decode_datagrams(LAYOUTS[layout], [data])
    assert columns.x.tolist() == events["x"].tolist()
    assert columns.y.tolist() == events["y"].tolist()
    assert columns.on.tolist() == events["on"].tolist()
    assert not columns.problems
    if layout == "aer":
        assert set(columns.t_us.tolist()) == {NO_TIME}
        return
    first = int(events["t"][0])
    assert unwrapped(columns.t_us, first, LAYOUTS[layout].bits).tolist() == events["t"].tolist()


@given(st.lists(st.tuples(addresses, times), max_size=40))
def test_words_with_and_without_times_in_one_datagram(
    events: list[tuple[tuple[int, int, bool], int | None]],
) -> None:
    columns = decode_aer(b"".join(spif(x, y, on, t_us) for (x, y, on), t_us in events))
    assert list(
        zip(
            columns.x.tolist(),
            columns.y.tolist(),
            columns.on.tolist(),
            columns.t_us.tolist(),
            strict=True,
        )
    ) == [(x, y, on, NO_TIME if t is None else t) for (x, y, on), t in events]
    assert not columns.problems


@given(st.lists(addresses, min_size=1, max_size=20), st.data())
def test_all_timed_is_as_each_timed(
    events: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """The way that takes all words at once, against one event at a time."""
    stamps = [data.draw(st.integers(0, 2**32 - 1)) for _ in events]
    pieces = [spif(*event, t) for event, t in zip(events, stamps, strict=True)]
    whole, single = decode_aer(b"".join(pieces)), [decode_aer(piece) for piece in pieces]
    assert whole.t_us.tolist() == stamps == [int(each.t_us[0]) for each in single]
    assert whole.x.tolist() == [int(each.x[0]) for each in single]


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(st.binary(max_size=80), max_size=6))
def test_any_bytes_decode_and_what_is_wrong_is_counted(layout: str, datagrams: list[bytes]) -> None:
    columns = decode_datagrams(LAYOUTS[layout], datagrams)
    size = {"aer": 4, "t64_x16_y16_on8": 13, "t32_x16_y15_on1": 8}[layout]
    ragged = sum(not data or len(data) % size > 0 for data in datagrams)
    malformed = columns.problems.counts.get("malformed", 0)
    if layout == "aer":
        # A last word that announces a time and has none is one more.
        assert ragged <= malformed <= 2 * len(datagrams)
    else:
        assert malformed == ragged
        assert len(columns) == sum(len(data) // size for data in datagrams)
    assert columns.t_us.min(initial=0) >= NO_TIME
    assert columns.problems.kept <= len(columns)


def test_a_timestamp_that_is_cut_off_is_malformed() -> None:
    columns = decode_aer(spif(3, 5, True, 9) + spif(4, 5, True, 10)[:4])
    assert columns.t_us.tolist() == [9]
    assert dict(columns.problems.counts) == {"malformed": 1}


@given(
    st.integers(0, 2**40),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30),
    st.integers(0, 30),
)
def test_a_clock_of_32_bits_goes_on_wherever_the_datagrams_are_cut(
    start: int, steps: list[int], cut: int
) -> None:
    true = start + np.cumsum(np.array(steps, np.int64))
    sent = true % 2**32
    before = unwrapped(sent[:cut], start, 32)
    last = int(before[-1]) if len(before) else start
    after = unwrapped(sent[cut:], last, 32)
    assert np.concatenate([before, after]).tolist() == true.tolist()
