"""The passes over the recordings: what the network hears, how it is stepped, what is told."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor, nn

from retempo.exporters.description import BinMode, GridSpec, InputSpec
from retempo.runtime.layout import layout_of
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.training.batches import BinPlan, Kept
from retempo.training.config import (
    AugmentConfig,
    DataConfig,
    FitConfig,
    NetworkConfig,
    TrainConfig,
)
from retempo.training.datasets import Dataset
from retempo.training.epochs import accuracy, new_module, run_epochs
from retempo.training.history import Epoch
from retempo.training.network import LayerModule, NetworkModule, mean_over_steps
from retempo.training.progress import Silent
from tests.builders import make_chunk

SPEC = InputSpec(GridSpec(8, 8))
PLAN = BinPlan(layout_of(SPEC), 10_000)
LABELS = ("a", "b", "c", "d")
RECORDINGS = 12


def make_dataset() -> Dataset:
    """Recordings of one label, whatever their order."""

    def load(index: int) -> EventChunk:
        return make_chunk(800, 8, 8, 100_000, seed=index)

    names = tuple(f"r{k}" for k in range(RECORDINGS))
    return Dataset("drawn", GridGeometry(8, 8), LABELS, names, (1,) * RECORDINGS, load)


def make_config(fit: FitConfig, *, drop: float = 0.0, dropout: float = 0.0) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(kind="folder"),
        network=NetworkConfig(hidden=[16], dropout=dropout),
        augment=AugmentConfig(drop=drop),
        fit=fit,
    )


def make_module(config: TrainConfig) -> NetworkModule:
    torch.manual_seed(0)
    return new_module(config, SPEC, LABELS)


def run(module: NetworkModule, config: TrainConfig, plan: BinPlan = PLAN) -> list[Epoch]:
    return run_epochs(module, config, plan, make_dataset(), None, Silent())


def mean_input(drop: float, mode: BinMode = "sum") -> float:
    config = make_config(FitConfig(epochs=1, batch=RECORDINGS), drop=drop)
    module = make_module(config)
    heard: list[float] = []
    module.register_forward_pre_hook(lambda _, args: heard.append(float(args[0].mean())))
    run(module, config, BinPlan(layout_of(replace(SPEC, bin_mode=mode)), 10_000))
    assert len(heard) == 1
    return heard[0]


def test_the_events_that_are_kept_weigh_as_much_as_all() -> None:
    # 9,600 events, of which 6 in 10 stay: a standard deviation of 0.8 %.
    modes: tuple[BinMode, ...] = ("sum", "mean")
    for mode in modes:
        assert mean_input(0.4, mode) == pytest.approx(mean_input(0.0, mode), rel=0.04)


def test_inputs_that_saturate_do_not_outgrow_their_limit() -> None:
    assert mean_input(0.4, "binary") < mean_input(0.0, "binary") < 1.0


def test_parameters_are_within_their_ranges_after_every_step() -> None:
    config = make_config(FitConfig(epochs=3, batch=3, learning_rate=0.3))
    module = make_module(config)
    seen: list[int] = []

    def check(module: NetworkModule, _: object) -> None:
        for layer in module.layers:
            assert isinstance(layer, LayerModule)
            for name, range_ in layer.shape.ranges.items():
                low, high = np.float32(range_.low), np.float32(range_.high)
                values = layer.own[name].detach().numpy()
                assert ((low <= values) & (values <= high)).all()
                seen.append(int((values == high).sum() + (values == low).sum()))

    module.register_forward_pre_hook(check)
    run(module, config)
    assert max(seen) > 0  # steps this large do meet the bounds


def largest_move(gradient_clip: float) -> float:
    config = make_config(FitConfig(epochs=1, batch=6, gradient_clip=gradient_clip))
    module = make_module(config)
    before = [values.detach().clone() for values in module.parameters()]
    run(module, config)
    after = [values.detach() for values in module.parameters()]
    return max(float((a - b).abs().max()) for a, b in zip(after, before, strict=True))


def test_gradients_are_clipped() -> None:
    """Adam forgives any scale but one far below its epsilon, 1e-8."""
    assert largest_move(5.0) > 1e-3
    assert largest_move(1e-13) < 1e-6


def test_the_learning_rate_falls_along_a_cosine_to_zero() -> None:
    config = make_config(FitConfig(epochs=8, batch=6, learning_rate=0.01))
    rates = [epoch.learning_rate for epoch in run(make_module(config), config)]
    expected = 0.005 * (1.0 + np.cos(np.pi * np.arange(8) / 8.0))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_with_smoothed_labels(smoothing: float) -> None:
    config = make_config(FitConfig(epochs=1, batch=RECORDINGS, label_smoothing=smoothing))
    module = make_module(config)
    scores: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, Tensor], y: Tensor) -> None:
        scores.append(mean_over_steps(y.detach(), args[1]))

    module.register_forward_hook(keep)
    (epoch,) = run(module, config)
    logs = np.log(scores[0].numpy().astype(np.float64))
    # Of the label 1 - s and of each of the four labels s / 4.
    wanted = np.full(4, smoothing / 4.0) + np.array([0.0, 1.0 - smoothing, 0.0, 0.0])
    assert epoch.loss == pytest.approx(-(logs @ wanted).mean(), rel=1e-5)
    assert np.ptp(logs) > 0.01  # equal scores would hide the smoothing


class Told:
    def __init__(self) -> None:
        self.left_s: list[float] = []

    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:  # noqa: ARG002
        self.left_s.append(left_s)

    def close(self) -> None:
        pass


def test_the_time_that_is_left_follows_from_the_epochs_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0

    def work(*_: object) -> None:
        nonlocal now_s
        now_s += 3.0

    monkeypatch.setattr("retempo.training.epochs.time", SimpleNamespace(perf_counter=lambda: now_s))
    config = make_config(FitConfig(epochs=4, batch=6))
    module, told = make_module(config), Told()
    module.register_forward_pre_hook(work)
    epochs = run_epochs(module, config, PLAN, make_dataset(), None, told)
    assert [epoch.wall_s for epoch in epochs] == [6.0] * 4
    assert told.left_s == [18.0, 12.0, 6.0, 0.0]


def test_accuracy_is_measured_without_dropout_and_teaches_nothing() -> None:
    config = make_config(FitConfig(), dropout=0.9)
    module, recordings = make_module(config), Kept(make_dataset())
    before = {name: values.clone() for name, values in module.state_dict().items()}
    outputs: list[Tensor] = []
    module.register_forward_hook(lambda _module, _args, y: outputs.append(y))
    for _ in range(2):
        module.train()
        accuracy(module, recordings, PLAN)
    assert torch.equal(outputs[0], outputs[1])
    for name, values in module.state_dict().items():
        assert torch.equal(values, before[name]), name
