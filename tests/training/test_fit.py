"""Training: it learns, repeats itself, and leaves a whole run or none."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from rich.console import Console

from retempo.exporters.description import BinMode
from retempo.exporters.network import Network, load_network
from retempo.exporters.reference import State, step, zero_state
from retempo.exporters.resolution import resolve
from retempo.runtime.layout import layout_of
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from retempo.sensors.files import write_nmnist
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.training.batches import BinPlan, Kept
from retempo.training.checkpoint import from_network
from retempo.training.config import (
    AugmentConfig,
    DataConfig,
    FitConfig,
    InputConfig,
    NetworkConfig,
    TrainConfig,
)
from retempo.training.datasets import Dataset
from retempo.training.epochs import accuracy
from retempo.training.errors import DatasetError, DivergedError, TrainingError
from retempo.training.fit import fit, split, train
from retempo.training.history import Epoch
from retempo.training.occupancy import occupancy
from retempo.training.progress import LiveLine, progress_line
from tests.builders import make_chunk

LABELS = ("north", "east", "south", "west")


def make_dataset(recordings: int = 12) -> Dataset:
    """Arbitrary pixels with arbitrary labels: only by learning each can they be told apart."""

    def load(index: int) -> EventChunk:
        chunk = make_chunk(600, 4, 4, 200_000, seed=100 + index)
        rng = np.random.default_rng(200 + index)
        pixel = rng.permutation(64)[rng.integers(0, 16, len(chunk))]
        return replace(chunk, x=(pixel % 8).astype(np.uint16), y=(pixel // 8).astype(np.uint16))

    names = tuple(f"recording {k}" for k in range(recordings))
    targets = tuple(k % 4 for k in range(recordings))
    return Dataset("arbitrary", GridGeometry(8, 8), LABELS, names, targets, load)


def make_config(
    neuron: str = "radlif", epochs: int = 60, learning_rate: float = 0.01, seed: int = 0
) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(kind="folder"),
        input=InputConfig(dt="10ms"),
        network=NetworkConfig(neuron=neuron, hidden=[24, 20], dropout=0.0),
        fit=FitConfig(epochs=epochs, batch=6, learning_rate=learning_rate, seed=seed),
    )


def reference_accuracy(network: Network, dataset: Dataset) -> float:
    resolution = resolve(network.spec, network.spec.source_dt_us, "none")
    layout, right = layout_of(network.spec.input), 0
    for index in range(len(dataset)):
        bins, _ = bin_recording(dataset[index].events, layout, network.spec.source_dt_us)
        state: State = zero_state(network, 1)
        scores = np.zeros(len(network.spec.labels))
        for row in bins:
            state, y = step(network, resolution, state, row[None])
            scores += y[0]
        right += int(scores.argmax()) == dataset.targets[index]
    return right / len(dataset)


@pytest.mark.parametrize("neuron", ["lif", "rlif", "adlif", "radlif"])
def test_a_network_learns_arbitrary_labels_and_its_checkpoint_knows_them(
    neuron: str, tmp_path: Path
) -> None:
    dataset = make_dataset()
    fit(make_config(neuron), dataset, tmp_path)
    network = load_network(tmp_path)
    plan = BinPlan(layout_of(network.spec.input), 10_000)
    # By chance: 4 ** -12.
    assert accuracy(from_network(network), Kept(dataset), plan) == 1.0
    assert reference_accuracy(network, dataset) == 1.0
    assert network.spec.labels == list(LABELS)


@pytest.mark.parametrize("mode", ["binary", "max", "mean"])
def test_a_network_learns_by_every_bin_mode_and_says_which(mode: BinMode, tmp_path: Path) -> None:
    dataset, config = make_dataset(), make_config("lif")
    heard = InputConfig(dt="10ms", bin_mode=mode, bin_unit="2ms")
    fit(msgspec.structs.replace(config, input=heard), dataset, tmp_path)
    network = load_network(tmp_path)
    assert (network.spec.input.bin_mode, network.spec.input.bin_unit_us) == (mode, 2_000)
    assert reference_accuracy(network, dataset) >= 0.9
    known = network.spec.input.occupancy
    if mode == "mean":
        assert known is None
        return
    assert known == occupancy(dataset, BinPlan(layout_of(network.spec.input), 10_000))


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    config = make_config(epochs=2)
    varied = msgspec.structs.replace(
        config,
        network=msgspec.structs.replace(config.network, dropout=0.3),
        augment=AugmentConfig(shift=1, rotate_deg=5.0, drop=0.1, random_phase=True),
    )
    before = torch.get_rng_state()
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        seeded = msgspec.structs.replace(varied, fit=msgspec.structs.replace(varied.fit, seed=seed))
        fit(seeded, make_dataset(), tmp_path / name)
    assert torch.equal(torch.get_rng_state(), before)
    same, again, other = (load_network(tmp_path / name) for name in "abc")
    assert again.spec == same.spec
    for name, matrix in same.weights.items():
        np.testing.assert_array_equal(again.weights[name], matrix)
        assert not np.array_equal(other.weights[name], matrix)


def test_a_run_tells_how_it_came_about(tmp_path: Path) -> None:
    config = make_config(epochs=3)
    held = msgspec.structs.replace(config, fit=msgspec.structs.replace(config.fit, validation=0.34))
    report = fit(held, make_dataset(), tmp_path)
    told = msgspec.json.decode((tmp_path / "training.json").read_bytes())
    assert msgspec.convert(told["config"], TrainConfig) == held
    assert [epoch["number"] for epoch in told["epochs"]] == [1, 2, 3]
    assert (told["recordings"], told["held_out"]) == (8, 4)
    assert told["epochs"][-1]["held_out_accuracy"] == report.held_out_accuracy
    assert set(told["versions"]) == {"python", "torch", "numpy", "numba"}
    picture = (tmp_path / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 600
    assert height > 400


def test_held_out_recordings_are_drawn_from_every_label_and_never_trained_on() -> None:
    training, held_out = split(make_dataset(20), FitConfig(validation=0.2))
    assert held_out is not None
    assert sorted(held_out.targets) == [0, 1, 2, 3]
    assert not set(training.names) & set(held_out.names)
    assert len(training) == 16
    _, other = split(make_dataset(20), FitConfig(validation=0.2, seed=1))
    assert other is not None
    assert other.names != held_out.names


def test_too_few_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"too few labels .*none of its recordings is 'west'"):
        fit(make_config(), make_dataset(3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_to_hold_out_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"too few recordings to hold 0\.1 of each label out"):
        split(make_dataset(8), FitConfig(validation=0.1))


@pytest.mark.parametrize("learning_rate", [1e18, 1e30])
def test_a_diverged_training_says_what_to_do_and_writes_nothing(
    tmp_path: Path, learning_rate: float
) -> None:
    run = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"in epoch \d+; lower \[fit\] learning_rate, now 1e\+"):
        fit(make_config(learning_rate=learning_rate), make_dataset(), run)
    assert not run.exists()


def test_a_batch_without_spread_is_refused(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        make_config(), input=InputConfig(dt="1s"), fit=FitConfig(batch=1)
    )
    with pytest.raises(DatasetError, match=r"no spread to normalise by; raise \[fit\] batch"):
        fit(config, make_dataset(), tmp_path / "run")


class StoppingInTheSecondEpoch:
    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:  # noqa: ARG002
        if epoch.number == 2:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


def test_an_interrupted_training_leaves_the_run_before_it_as_it_was(tmp_path: Path) -> None:
    fit(make_config(epochs=1), make_dataset(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        fit(make_config(seed=1), make_dataset(), tmp_path, progress=StoppingInTheSecondEpoch())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def write_recordings(folder: Path) -> None:
    for index in range(8):
        chunk = make_chunk(150, 34, 34, 60_000, seed=index)
        write_nmnist(folder / f"{index}_{index % 2}.bin", chunk)


def test_train_reads_a_folder_by_a_preset_with_data_and_seed_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_recordings(tmp_path)
    out = tmp_path / "runs" / "first"
    report = train(make_config(epochs=2), out, data=tmp_path, seed=7)
    assert (report.seed, report.recordings, report.labels) == (7, 8, ("0", "1"))
    assert load_network(out).spec.input.size == 34 * 34 * 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert [line.split()[:2] for line in shown.err.splitlines()] == [
        ["epoch", "1/2"],
        ["epoch", "2/2"],
    ]


def test_a_quiet_training_shows_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_recordings(tmp_path)
    train(make_config(epochs=1), tmp_path / "run", data=tmp_path, quiet=True)
    assert capfd.readouterr() == ("", "")


def test_a_run_that_cannot_be_a_folder_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(TrainingError, match="run is a file; name a folder for the run"):
        train(make_config(), tmp_path / "run", data=tmp_path)


def test_training_without_data_says_where_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"needs a folder; set \[data\] path or give --data"):
        train(make_config(), tmp_path / "run")


def test_progress_tells_loss_accuracy_and_the_time_that_is_left() -> None:
    epoch = Epoch(3, 0.4123, 0.871, 0.85, 1e-3, 2.06)
    assert progress_line(epoch, 30, 76.0) == (
        "epoch 3/30  loss 0.412  train 87.1 %  held out 85.0 %  2.1 s  1 min 16 s left"
    )
    silent = msgspec.structs.replace(epoch, held_out_accuracy=None)
    assert "held out" not in progress_line(silent, 30, 5.0)


def test_a_terminal_shows_one_line_that_is_kept_up_to_date() -> None:
    screen = io.StringIO()
    live = LiveLine(Console(file=screen, force_terminal=True, width=100))
    for number in (1, 2):
        live.epoch(Epoch(number, 0.5, 0.8, None, 1e-3, 1.0), 2, 0.0)
    live.close()
    # Erase the line before, then write the new one.
    assert "\x1b[2K" in screen.getvalue().split("epoch 1/2")[1].split("epoch 2/2")[0]


def test_channels_are_trained_on_as_they_are_on_a_grid(tmp_path: Path) -> None:
    def load(index: int) -> EventChunk:
        rng = np.random.default_rng(index)
        t_us = np.sort(rng.integers(0, 100_000, 200))
        channel = (rng.integers(0, 10, 200) + 10 * (index % 2)).astype(np.uint16)
        return EventChunk(t_us, int(t_us[-1]), channel=channel)

    words = Dataset("words", ChannelGeometry(20), ("low", "high"), ("a", "b"), (0, 1), load)
    config = make_config(epochs=20)
    wide = msgspec.structs.replace(
        config, input=InputConfig(downsample=5), augment=AugmentConfig(shift=2)
    )
    report = fit(wide, words, tmp_path)
    assert report.train_accuracy == 1.0
    assert load_network(tmp_path).spec.input.size == 4


@pytest.mark.recordings
def test_a_few_epochs_on_real_recordings_are_far_above_chance(
    recordings_folder: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        data=DataConfig(kind="folder", limit=300),
        network=NetworkConfig(hidden=[64]),
        fit=FitConfig(epochs=5, batch=25, learning_rate=5e-3, validation=0.2),
    )
    report = train(config, tmp_path, data=recordings_folder / "nmnist", quiet=True)
    assert report.held_out_accuracy is not None
    assert report.held_out_accuracy > 0.4
