"""How full the bins of an active input are."""

import numpy as np
import pytest

from retempo.exporters.bin_laws import input_scale
from retempo.exporters.description import BinMode, ChannelSpec, InputSpec
from retempo.runtime.layout import layout_of
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry
from retempo.training.batches import BinPlan
from retempo.training.datasets import Dataset
from retempo.training.occupancy import occupancy


def plan_of(mode: BinMode = "binary", dt_us: int = 1_000) -> BinPlan:
    return BinPlan(layout_of(InputSpec(ChannelSpec(3), mode, 1, 100)), dt_us)


def dataset_of(t_us: list[int], channel: list[int]) -> Dataset:
    chunk = EventChunk(np.array(t_us, np.int64), 4_000, channel=np.array(channel, np.uint16))
    return Dataset("drawn", ChannelGeometry(3), ("a",), ("r",), (0,), lambda _: chunk)


def test_it_follows_from_the_events_of_an_active_bin() -> None:
    """Six events in five bins of a channel."""
    dataset = dataset_of([0, 500, 1_000, 2_000, 2_500, 3_000], [0, 0, 0, 0, 1, 0])
    p = occupancy(dataset, plan_of())
    assert -np.log(1 - p) / p == pytest.approx(6 / 5)


def bursts() -> Dataset:
    """A channel is active for 300 ms of each 2 s, at 60 events a second."""
    rng = np.random.default_rng(0)
    begins = np.repeat(np.arange(100) * 2_000_000, 18)
    t_us = np.sort(begins + rng.integers(0, 300_000, len(begins)))
    return dataset_of(t_us.tolist(), [0] * len(t_us))


@pytest.mark.parametrize("mode", ["binary", "max"])
def test_the_silence_between_bursts_does_not_count(mode: BinMode) -> None:
    """Seven bins in a hundred are active, and still the law holds within a burst."""
    dataset, plan = bursts(), plan_of(mode, 10_000)
    p = occupancy(dataset, plan)
    assert p == pytest.approx(1 - np.exp(-0.6), rel=0.1)
    spec = InputSpec(ChannelSpec(3), mode, 1, 100, p)
    home = bin_recording(dataset[0].events, plan.layout, 10_000)[0].mean()
    for dt_us in (1_000, 2_500, 20_000, 50_000):
        away = bin_recording(dataset[0].events, plan.layout, dt_us)[0].mean()
        assert input_scale(spec, dt_us / 10_000).mean == pytest.approx(away / home, rel=0.1)


def test_neither_never_nor_always() -> None:
    assert occupancy(dataset_of([], []), plan_of()) == pytest.approx(1e-6)
    assert occupancy(dataset_of([0, 1_000], [0, 0]), plan_of()) == pytest.approx(1e-6)
    assert occupancy(dataset_of([5] * 99, [0] * 99), plan_of()) == pytest.approx(1 - 1e-6)
