"""Hot pixels: which they are, given or learned, and what becomes of their events."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording
from retempo.sensors.filters import Chain, parse_filter
from retempo.sensors.filters.hot_pixels import HotPixels, find_hot_pixels, hot_pixels
from retempo.sensors.filters.pixel_list import read_pixels, write_pixels
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from tests.sensors.filters.streams import Given, columns, filtered, grid_chunk, streams

GRID = GridGeometry(40, 30)
HOT = ((3, 4), (20, 10), (39, 29))


def noisy(seconds: int, seed: int = 0, hot_hz: int = 200, start_us: int = 0) -> EventChunk:
    """A second of noise at 2 Hz a pixel, and pixels that fire at `hot_hz`."""
    rng = np.random.default_rng(seed)
    noise = 2 * GRID.width * GRID.height * seconds
    x = np.concatenate(
        [rng.integers(0, 40, noise), *(np.full(hot_hz * seconds, p[0]) for p in HOT)]
    )
    y = np.concatenate(
        [rng.integers(0, 30, noise), *(np.full(hot_hz * seconds, p[1]) for p in HOT)]
    )
    t_us = rng.integers(start_us, start_us + seconds * 1_000_000, len(x))
    order = np.argsort(t_us)
    return grid_chunk(*zip(t_us[order].tolist(), x[order].tolist(), y[order].tolist(), strict=True))


def as_mask(pixels: Any) -> np.ndarray[Any, Any]:
    mask = np.zeros((GRID.height, GRID.width), np.bool_)
    for x, y in pixels:
        mask[y, x] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_pixels_that_fire_all_the_time_are_found_and_no_others(seed: int) -> None:
    found = find_hot_pixels(Given(GRID, [noisy(1, seed)]))
    assert (found == as_mask(HOT)).all()


def test_an_outline_is_not_hot_and_a_pair_is() -> None:
    """Pixels in a row fire together: they are of the scene. Two hot pixels can touch."""
    counts = np.ones((30, 40), np.int64)
    counts[5:25, [7, 30]] = 100
    counts[[5, 24], 7:31] = 100
    assert not hot_pixels(counts).any()
    counts = np.ones((30, 40), np.int64)
    counts[5, 5] = counts[5, 6] = 100
    assert np.argwhere(hot_pixels(counts)).tolist() == [[5, 5], [5, 6]]


def test_a_channel_is_hot_beside_any_other() -> None:
    counts = np.array([10, 12, 9, 900, 800, 11, 10, 8, 12, 10])
    assert hot_pixels(counts).nonzero()[0].tolist() == [3, 4]


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_counts_of_any_size_have_a_mask_of_their_shape(
    height: int, width: int, seed: int, most: int
) -> None:
    counts = np.random.default_rng(seed).integers(0, most + 1, (height, width))
    hot = hot_pixels(counts)
    assert hot.shape == counts.shape
    assert not hot[counts < 10].any()
    # Equal counts are nobody's fault.
    assert not hot_pixels(np.full((height, width), most)).any()


def test_the_mask_is_learned_in_one_span_and_used_in_the_next() -> None:
    chain = Chain.start([HotPixels()], GRID)
    stream = noisy(3)
    kept = chain.apply(stream)
    assert kept.x is not None
    assert (chain.states[0].mask == as_mask(HOT)).all()
    hot = as_mask(HOT)[kept.y, kept.x]
    begin = int(stream.t_us[0])
    assert hot[kept.t_us < begin + 1_000_000].sum() > 500
    assert not hot[kept.t_us >= begin + 1_000_000].any()
    assert kept.removed == {"hot-pixels": len(stream) - len(kept)}
    first = stream.t_us < begin + 1_000_000
    assert len(kept) == int((~as_mask(HOT)[stream.y, stream.x] | first).sum())


def test_a_pixel_that_cools_down_comes_back() -> None:
    chain = Chain.start([HotPixels()], GRID)
    chain.apply(noisy(2))
    chain.apply(noisy(2, hot_hz=2, start_us=2_000_000))
    assert not chain.states[0].mask.any()


def test_silence_leaves_the_mask_and_a_clock_set_back_too() -> None:
    chain = Chain.start([HotPixels()], GRID)
    chain.apply(noisy(1))
    after = chain.apply(grid_chunk((3_600_000_000, 3, 4), (3_600_000_001, 5, 5)))
    assert columns(after)["x"] == [5]
    back = chain.apply(grid_chunk((0, 20, 10), (1, 6, 6)))
    assert columns(back)["x"] == [6]
    assert chain.states[0].begins_us == 0


@given(streams(GridGeometry(13, 9)), st.integers(1, 3_000))
def test_a_mask_given_removes_its_pixels_and_no_others(chunk: EventChunk, seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 13)) < 0.2
    pixels = tuple((int(x), int(y)) for y, x in np.argwhere(mask))
    kept = filtered([chunk], GridGeometry(13, 9), HotPixels(pixels))
    expected = ~mask[chunk.y, chunk.x]
    assert kept.t_us.tolist() == chunk.t_us[expected].tolist()


def test_a_list_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    write_pixels(path, as_mask(HOT))
    assert set(read_pixels(path)) == set(HOT)
    path.write_text("# dead since May\n3 4\n20,10  # here\n\n39;29\n")
    assert read_pixels(path) == HOT
    np.save(tmp_path / "mask.npy", as_mask(HOT))
    assert set(read_pixels(tmp_path / "mask.npy")) == set(HOT)
    write_pixels(path, np.array([False, True, True]))
    assert read_pixels(path) == ((1,), (2,))
    assert parse_filter("hot-pixels=hot.txt", tmp_path) == HotPixels(((1,), (2,)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"3 4\n5 x\n", "line 2 is '5 x', expected x y of a pixel"),
        (b"1 2 3\n", "line 1 is '1 2 3'"),
        (b"-1 2\n", "line 1"),
        (b"\xff\xfe\x00", "is no text"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "hot.txt").write_bytes(content)
    with pytest.raises(FilterError, match=says):
        parse_filter("hot-pixels=hot.txt", tmp_path)


def test_a_mask_that_is_none_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.zeros((3, 3)))
    with pytest.raises(FilterError, match=r"holds float64 of shape \(3, 3\), expected a mask"):
        read_pixels(tmp_path / "m.npy")
    (tmp_path / "m.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(FilterError, match="is no NumPy array"):
        read_pixels(tmp_path / "m.npy")
    with pytest.raises(FilterError, match="cannot read the list of pixels"):
        read_pixels(tmp_path / "absent.txt")


@pytest.mark.parametrize("pixel", [(40, 0), (0, 30), (3,)])
def test_a_pixel_of_another_sensor_is_refused(pixel: tuple[int, ...]) -> None:
    with pytest.raises(FilterError, match="no address of a sensor of 40x30x2; write x y for each"):
        HotPixels((pixel,)).geometry_after(GRID)
    with pytest.raises(FilterError, match="write a channel for each"):
        HotPixels(((3, 4),)).geometry_after(ChannelGeometry(8))


@pytest.mark.recordings
def test_digits_that_move_hold_no_hot_pixel(recordings_folder: Path) -> None:
    """The pixels of N-MNIST's digits fire in bursts beside each other."""
    paths = sorted((recordings_folder / "nmnist" / "test").glob("*.bin"))
    found = [int(find_hot_pixels(open_recording(path)).sum()) for path in paths]
    assert sum(found) <= 2


@pytest.mark.recordings
def test_a_pixel_made_hot_in_a_real_recording_is_found(recordings_folder: Path) -> None:
    source = open_recording(recordings_folder / "recordings" / "evt3.raw")
    before = find_hot_pixels(source)
    chunks = list(source)
    made = [(5, 700), (640, 360), (1279, 0)]
    begin, end = int(chunks[0].t_us[0]), int(chunks[-1].t_us[-1])
    t_us = np.repeat(np.linspace(begin, end, 1_500).astype(np.int64), len(made))
    x, y = np.tile(np.array(made), (1_500, 1)).T
    extra = EventChunk(
        t_us,
        end,
        x=x.astype(np.uint16),
        y=y.astype(np.uint16),
        on=np.ones(len(t_us), np.bool_),
    )
    after = find_hot_pixels(Given(source.geometry, [*chunks, extra]))
    assert all(after[y, x] for x, y in made)
    assert int((after != before).sum()) <= len(made) + 3
