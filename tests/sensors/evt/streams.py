"""Streams of EVT words for the tests: words by name, and random ones that hit the odd cases."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import ByteDecoder, decode_pieces
from retempo.sensors.columns import Columns, join
from retempo.sensors.evt import Coding, Version, evt_decoder
from retempo.sensors.evt.decoder import Kernel

# Clock values of which most pairs are a step, a jump, a wrap or a way back.
_HIGHS = {12: (0, 1, 2, 5, 2_047, 2_048, 4_094, 4_095), 28: (0, 1, 2, 2**27, 2**28 - 2, 2**28 - 1)}
DTYPES: dict[Version, str] = {"2": "<u4", "2.1": "<u8", "3": "<u2"}


def time_high(value: int) -> int:
    return 0x8000 | value


def time_low(value: int) -> int:
    return 0x6000 | value


def row(y: int) -> int:
    return y


def single(x: int, on: int = 0) -> int:
    return 0x2000 | on << 11 | x


def base(x: int, on: int = 0) -> int:
    return 0x3000 | on << 11 | x


def twelve(mask: int) -> int:
    return 0x4000 | mask


def eight(mask: int) -> int:
    return 0x5000 | mask


def evt2(kind: int, rest: int) -> int:
    return kind << 28 | rest


def event2(on: int, low: int, x: int, y: int) -> int:
    return evt2(on, low << 22 | x << 11 | y)


def words(version: Version, values: Iterable[int]) -> bytes:
    return np.array(list(values), DTYPES[version]).tobytes()


def decoder(version: Version, kernel: Kernel | None = None) -> ByteDecoder[Any]:
    return evt_decoder(Coding(version), kernel)


def decode(
    version: Version, data: bytes, cuts: Iterable[int] = (), kernel: Kernel | None = None
) -> Columns:
    """Decode bytes that are cut at some places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    columns: list[Any] = list(decode_pieces(decoder(version, kernel), pieces))
    joined: Columns = join(columns)
    return joined


def events(columns: Columns) -> list[tuple[int, int, int, bool]]:
    """Events as tuples of time, x, y and polarity."""
    rows = zip(columns.t_us, columns.x, columns.y, columns.on, strict=True)
    return [(int(t), int(x), int(y), bool(on)) for t, x, y, on in rows]


def _evt3_runs() -> st.SearchStrategy[list[int]]:
    value = st.integers(0, 0xFFF)
    high = st.sampled_from(_HIGHS[12]).map(time_high)
    ordinary = st.one_of(
        st.integers(0, 2_047).map(row), value.map(lambda v: 0x2000 | v), value.map(time_low)
    )
    vector = st.builds(
        lambda x, masks, keep: [base(x), *(twelve(m) for m in masks[:2]), eight(masks[2] % 256)][
            :keep
        ],
        st.integers(0, 2_047),
        st.lists(value, min_size=3, max_size=3),
        st.integers(1, 4),
    )
    counted = st.builds(
        lambda kind, keep: [0xE014 | kind, 0xF123, 0xF456, 0x7007][:keep],
        st.sampled_from((0, 2)),
        st.integers(1, 4),
    )
    return st.one_of(
        st.lists(ordinary, min_size=1, max_size=90),
        st.lists(high, min_size=1, max_size=3),
        vector,
        counted,
        st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=3),
    )


def evt3_words() -> st.SearchStrategy[NDArray[np.uint16]]:
    """Words of EVT3, mostly in an order that a camera could send."""
    runs = st.lists(_evt3_runs(), max_size=30)
    return runs.map(lambda parts: np.array([w for part in parts for w in part], "<u2"))


def evt2_words(version: Version) -> st.SearchStrategy[NDArray[Any]]:
    """Words of EVT2 or EVT2.1."""
    high = st.sampled_from(_HIGHS[28]).map(lambda v: evt2(8, v))
    event = st.builds(
        event2, st.integers(0, 1), st.integers(0, 63), st.integers(0, 2_047), st.integers(0, 2_047)
    )
    word = st.one_of(event, event, event, high, st.integers(0, 2**32 - 1))
    if version == "2":
        return st.lists(word, max_size=120).map(lambda values: np.array(values, "<u4"))
    mask = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from((0, 1, 2**31, 2**32 - 1)))
    wide = st.builds(lambda upper, lower: upper << 32 | lower, word, mask)
    return st.lists(wide, max_size=60).map(lambda values: np.array(values, "<u8"))
