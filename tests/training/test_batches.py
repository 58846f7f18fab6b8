"""Packed batches and varied recordings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.binning import BINNED, INVALID
from retempo.runtime.layout import layout_of
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.training.augmentation import augment, check_augmentation
from retempo.training.batches import BinPlan, Kept, batches, pack
from retempo.training.config import AugmentConfig
from retempo.training.datasets import Dataset
from retempo.training.errors import TrainingError
from tests.builders import make_chunk, seeds

GRID = GridGeometry(12, 10)
LAYOUT = layout_of(InputSpec(GridSpec(12, 10)))


def make_dataset(events: list[int], loads: list[int] | None = None) -> Dataset:
    def load(index: int) -> EventChunk:
        if loads is not None:
            loads.append(index)
        return make_chunk(events[index], 12, 10, 50_000, seed=index)

    names = tuple(f"r{k}" for k in range(len(events)))
    targets = tuple(k % 2 for k in range(len(events)))
    return Dataset("drawn", GRID, ("a", "b"), names, targets, load)


def vary(events: EventChunk, config: AugmentConfig, seed: int = 0) -> EventChunk:
    return augment(events, GRID, config, 5_000, np.random.default_rng(seed))


def test_a_batch_holds_the_bins_of_the_runtime_one_recording_after_another() -> None:
    dataset = make_dataset([80, 30, 50])
    found = list(batches(Kept(dataset), BinPlan(LAYOUT, 5_000), [2, 0, 1], size=2))
    assert [batch.targets.tolist() for batch in found] == [[0, 0], [1]]
    for batch, order in zip(found, ([2, 0], [1]), strict=True):
        for position, index in enumerate(order):
            begin, end = batch.offsets[position], batch.offsets[position + 1]
            bins, _ = bin_recording(dataset[index].events, LAYOUT, 5_000)
            np.testing.assert_array_equal(batch.x[begin:end].numpy(), bins)


def test_a_recording_without_events_is_one_silent_step() -> None:
    batch = pack([np.zeros((0, 3), np.float32), np.ones((2, 3), np.float32)], [1, 0])
    assert batch.offsets.tolist() == [0, 1, 3]
    assert batch.x.sum(1).tolist() == [0.0, 3.0, 3.0]


def test_recordings_are_loaded_once_while_there_is_room() -> None:
    loads: list[int] = []
    kept = Kept(make_dataset([40, 40, 40], loads), room=80)
    for _ in range(3):
        for index in range(3):
            assert len(kept[index].events) == 40
    assert loads == [0, 1, 2, 2, 2]


def test_a_batch_beyond_memory_says_how_to_make_it_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = make_dataset([80, 30, 50])
    fine = BinPlan(LAYOUT, 1_000)
    sizes = [bin_recording(dataset[k].events, LAYOUT, 1_000)[0].nbytes for k in range(3)]
    monkeypatch.setattr("retempo.training.batches.MOST_BATCH_BYTES", sum(sizes))
    assert len(list(batches(Kept(dataset), fine, [0, 1, 2], size=3))) == 1
    monkeypatch.setattr("retempo.training.batches.MOST_BATCH_BYTES", sum(sizes) - 1)
    advice = r"raise \[input\] dt or downsample, or lower \[fit\] batch$"
    with pytest.raises(TrainingError, match=rf"3 recordings in bins of 1000 us: 3 .*{advice}"):
        list(batches(Kept(dataset), fine, [0, 1, 2], size=3))


def test_a_recording_beyond_memory_says_how_to_make_it_smaller() -> None:
    days = EventChunk(
        t_us=np.arange(0, 30_000_000, 400_000, dtype=np.int64),
        t_end_us=30_000_000,
        x=np.zeros(75, np.uint16),
        y=np.zeros(75, np.uint16),
        on=np.ones(75, np.bool_),
    )
    endless = Dataset("endless", GRID, ("a",), ("r0",), (0,), lambda _: days)
    with pytest.raises(TrainingError, match=r"1 us: r0 alone is too long .*raise \[input\] dt"):
        list(batches(Kept(endless), BinPlan(LAYOUT, 1), [0], size=1))


def test_no_augmentation_changes_nothing() -> None:
    events = make_chunk(100, 12, 10, 50_000)
    same = vary(events, AugmentConfig())
    for column in ("t_us", "x", "y", "on"):
        np.testing.assert_array_equal(getattr(same, column), getattr(events, column))


@given(st.integers(1, 20), seeds)
def test_a_shift_moves_every_event_alike_and_loses_none_unseen(shift: int, seed: int) -> None:
    events = make_chunk(100, 12, 10, 50_000)
    moved = vary(events, AugmentConfig(shift=shift), seed)
    assert events.x is not None
    assert moved.x is not None
    # Modulo 2^16, as addresses left of the sensor wrap.
    steps = np.unique((moved.x - events.x).astype(np.int16))
    assert len(steps) == 1
    assert abs(int(steps[0])) <= shift
    _, counts = bin_recording(moved, LAYOUT, 5_000)
    assert counts[BINNED] + counts[INVALID] == 100


@given(seeds)
def test_time_is_stretched_within_its_bounds_and_stays_in_order(seed: int) -> None:
    events = make_chunk(100, 12, 10, 50_000)
    varied = vary(events, AugmentConfig(time_stretch=0.2, random_phase=True), seed)
    assert (np.diff(varied.t_us) >= 0).all()
    span, before = np.ptp(varied.t_us), np.ptp(events.t_us)
    assert 0.8 * before - 1 <= span <= 1.2 * before + 1
    assert varied.t_end_us == varied.t_us[-1]


def test_dropping_leaves_about_its_share_out() -> None:
    events = make_chunk(10_000, 12, 10, 50_000)
    kept = vary(events, AugmentConfig(drop=0.3))
    assert abs(len(kept) - 7_000) < 300
    assert set(kept.t_us.tolist()) <= set(events.t_us.tolist())


def test_channels_shift_and_refuse_to_be_turned() -> None:
    events = EventChunk(np.arange(3, dtype=np.int64), 2, channel=np.array([5, 6, 9], np.uint16))
    cochlea = ChannelGeometry(20)
    moved = augment(events, cochlea, AugmentConfig(shift=3), 10, np.random.default_rng(1))
    assert moved.channel is not None
    assert np.diff(moved.channel.astype(int)).tolist() == [1, 3]
    with pytest.raises(TrainingError, match=r"\[augment\] zoom needs a grid of pixels, not 20 ch"):
        check_augmentation(AugmentConfig(zoom=0.1), cochlea)
