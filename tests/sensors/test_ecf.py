"""Prophesee's HDF5 compression, decoded without its plugin."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.ecf import decode_ecf
from tests.sensors.ecf_encoder import MASKED, PACKED_12, PACKED_24, encode_ecf

ADDRESS = st.integers(0, 2_047)
STEP = st.one_of(st.integers(0, 3), st.integers(0, 40), st.integers(0, 1 << 40))
EVENT = st.tuples(STEP, ADDRESS, st.one_of(st.just(7), ADDRESS), st.integers(0, 1))


def columns(
    events: list[tuple[int, int, int, int]], first_us: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    steps, x, y, on = (list(column) for column in zip(*events, strict=True))
    return (np.cumsum(steps) + first_us).tolist(), x, y, on


@given(
    st.lists(EVENT, min_size=1, max_size=300),
    st.integers(0, 1 << 40),
    st.sampled_from([MASKED, PACKED_12, PACKED_24]),
)
def test_what_is_encoded_in_any_packing_decodes_to_itself(
    events: list[tuple[int, int, int, int]], first_us: int, packing: int
) -> None:
    t, x, y, on = columns(events, first_us)
    raw = decode_ecf(encode_ecf(t, x, y, on, packing))
    assert [raw[name].tolist() for name in ("t", "x", "y", "on")] == [t, x, y, on]


@pytest.mark.parametrize("packing", [MASKED, PACKED_12, PACKED_24])
@pytest.mark.parametrize("count", [14, 15, 16, 30, 31, 32, 126, 127, 128, 65_535])
def test_runs_of_every_length_decode(count: int, packing: int) -> None:
    t, x, y, on = [9] * count + [10], [3] * (count + 1), [5] * count + [6], [1] * count + [0]
    if count == 65_535:
        t, x, y, on = t[:-1], x[:-1], y[:-1], on[:-1]
    raw = decode_ecf(encode_ecf(t, x, y, on, packing))
    assert [raw[name].tolist() for name in ("t", "x", "y", "on")] == [t, x, y, on]


def test_pixels_in_a_row_share_a_word_and_those_after_the_end_are_not_read() -> None:
    one = encode_ecf([5], [10], [3], [1])
    # The mask of the only word names pixels that no event has.
    place = one.index((10 << 5).to_bytes(2, "little"))
    masked = one[:place] + (10 << 5 | 31).to_bytes(2, "little") + one[place + 2 :]
    assert decode_ecf(masked)["x"].tolist() == [10]


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_refused(data: bytes) -> None:
    try:
        raw = decode_ecf(data)
    except RecordingError:
        return
    assert len(raw["t"]) == int.from_bytes(data[:4], "little") >> 2


def test_a_chunk_that_is_cut_anywhere_is_refused_and_a_changed_one_never_goes_astray() -> None:
    draw = random.Random(1)
    t = np.cumsum([draw.choice([0, 0, 0, 1, 20]) for _ in range(500)]).tolist()
    x, y = [draw.randrange(640) for _ in t], sorted(draw.randrange(480) for _ in t)
    for packing in (MASKED, PACKED_12, PACKED_24):
        whole = encode_ecf(t, x, y, [draw.randrange(2) for _ in t], packing)
        for cut in range(len(whole)):
            with pytest.raises(RecordingError):
                decode_ecf(whole[:cut])
        for _ in range(2_000):
            changed = bytearray(whole)
            changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            try:
                raw = decode_ecf(bytes(changed))
            except RecordingError:
                continue
            assert {len(column) for column in raw.values()} == {
                int.from_bytes(changed[:4], "little") >> 2
            }
