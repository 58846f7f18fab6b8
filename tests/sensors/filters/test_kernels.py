"""Each compiled kernel does what its plain twin does, at the ends of 64 bits too."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.sensors.events import EventChunk
from retempo.sensors.filters.background import supported, supported_numpy
from retempo.sensors.filters.crop import within, within_numpy
from retempo.sensors.filters.hot_detection import (
    mark_lonely,
    mark_lonely_numpy,
    middles_by_order,
    middles_by_tally,
)
from retempo.sensors.filters.hot_pixels import learn, learn_numpy, unmasked, unmasked_numpy
from retempo.sensors.filters.rate_cap import RateCap, paid, paid_numpy
from retempo.sensors.filters.refractory import rested, rested_numpy
from retempo.sensors.filters.select import NEVER, flat_addresses, select, select_numpy
from retempo.sensors.geometry import Geometry
from tests.sensors.filters.streams import CHANNELS, GRID, columns, streams

Array = np.ndarray[Any, Any]
spans = st.one_of(st.integers(1, 1_000), st.integers(1, 86_400_000_000))
_geometries: list[Geometry] = [GRID, CHANNELS]
any_stream = st.sampled_from(_geometries).flatmap(
    lambda geometry: st.tuples(st.just(geometry), streams(geometry))
)


def places(geometry: Geometry) -> int:
    return 13 * 9 if geometry == GRID else 11


@given(any_stream, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.9, 1.0]))
def test_selecting(drawn: tuple[Geometry, EventChunk], seed: int, share: float) -> None:
    _, chunk = drawn
    keep = np.random.default_rng(seed).random(len(chunk)) < share
    assert columns(select(chunk, keep)) == columns(select_numpy(chunk, keep))


@given(
    st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)), max_size=50),
    st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)),
    st.tuples(st.integers(1, 65_536), st.integers(1, 65_536)),
)
def test_cropping(
    addresses: list[tuple[int, int]], corner: tuple[int, int], size: tuple[int, int]
) -> None:
    x = np.array([each[0] for each in addresses], np.uint16)
    y = np.array([each[1] for each in addresses], np.uint16)
    # What a crop of a sensor can be: none is wider than what is left of 65,536 addresses.
    size = min(size[0], 65_536 - corner[0]), min(size[1], 65_536 - corner[1])
    kept = np.empty(len(x), np.bool_), np.empty(len(x), np.bool_)
    within(x, y, *corner, *size, kept[0])
    within_numpy(x, y, *corner, *size, kept[1])
    assert kept[0].tolist() == kept[1].tolist()


@given(any_stream, spans)
def test_dead_times(drawn: tuple[Geometry, EventChunk], span_us: int) -> None:
    geometry, chunk = drawn
    address = flat_addresses(chunk, geometry)
    results = []
    for kernel in (rested, rested_numpy):
        last_us = np.full(places(geometry), NEVER, np.int64)
        keep = np.empty(len(chunk), np.bool_)
        kernel(chunk.t_us, *address, span_us, last_us, keep)
        results.append((keep.tolist(), last_us.tolist()))
    assert results[0] == results[1]


@given(streams(GRID), spans)
def test_support(chunk: EventChunk, span_us: int) -> None:
    x, y, _ = flat_addresses(chunk, GRID)
    results = []
    for kernel in (supported, supported_numpy):
        supported_us = np.full((GRID.height + 2, GRID.width + 2), NEVER, np.int64)
        keep = np.empty(len(chunk), np.bool_)
        kernel(chunk.t_us, x, y, span_us, supported_us, keep)
        results.append((keep.tolist(), supported_us.tolist()))
    assert results[0] == results[1]


@given(
    streams(GRID),
    st.one_of(st.integers(1, 10_000), st.integers(1, 10**9)),
    st.one_of(st.integers(1, 10_000), st.integers(1, 3_600_000_000)),
)
def test_the_bucket(chunk: EventChunk, rate_hz: int, window_us: int) -> None:
    cap = RateCap(rate_hz, window_us)
    results = []
    for kernel in (paid, paid_numpy):
        level = cap.start(GRID).level
        keep = np.empty(len(chunk), np.bool_)
        kernel(chunk.t_us, rate_hz, cap.capacity, level, keep)
        results.append((keep.tolist(), level.tolist()))
    assert results[0] == results[1]


@given(any_stream, st.integers(0, 2**32 - 1), st.integers(-1_000, 1_000), st.integers(1, 5_000))
def test_masking_and_learning(
    drawn: tuple[Geometry, EventChunk], seed: int, first_us: int, span_us: int
) -> None:
    geometry, chunk = drawn
    rng = np.random.default_rng(seed)
    mask = rng.random(places(geometry)) < 0.3
    x, y, stride = flat_addresses(chunk, geometry)
    masked = np.empty((2, len(chunk)), np.bool_)
    unmasked(x, y, stride, mask, masked[0])
    unmasked_numpy(x, y, stride, mask, masked[1])
    assert masked[0].tolist() == masked[1].tolist()
    begin = int(rng.integers(0, len(chunk) + 1))
    results = []
    for kernel in (learn, learn_numpy):
        # Some counts are full: they stay so.
        counts = np.where(mask, 2**32 - 1, 0).astype(np.uint32)
        keep = np.ones(len(chunk), np.bool_)
        end = kernel(
            chunk.t_us, x, y, stride, begin, first_us, first_us + span_us, mask, counts, keep
        )
        results.append((end, keep.tolist(), counts.tolist()))
    assert results[0] == results[1]


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=200).filter(any), st.data())
def test_the_middles(values: list[int], data: st.DataObject) -> None:
    counts = np.array(values, data.draw(st.sampled_from([np.uint32, np.int64])))
    nth = data.draw(st.integers(0, int(np.count_nonzero(counts)) - 1))
    assert middles_by_tally(counts, nth) == middles_by_order(counts, nth)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.uint32, np.int64]),
)
@settings(max_examples=100)
def test_marking(shape: tuple[int, int], seed: int, dtype: type[np.integer]) -> None:
    rng = np.random.default_rng(seed)
    counts = (rng.integers(0, 100, shape) * (rng.random(shape) < 0.5)).astype(dtype)
    loud = np.flatnonzero(rng.random(shape) < 0.5)
    hot = np.zeros((2, *shape), np.bool_)
    mark_lonely(counts, loud, hot[0])
    mark_lonely_numpy(counts, loud, hot[1])
    assert hot[0].tolist() == hot[1].tolist()
