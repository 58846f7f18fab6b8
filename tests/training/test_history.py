"""What a training leaves behind: its picture, and what it says of its tests."""

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from retempo.exporters.description import ChannelSpec, InputSpec
from retempo.sensors.cochlea import CochleaSpec
from retempo.training.config import DataConfig, TrainConfig
from retempo.training.datasets import Request
from retempo.training.history import (
    HISTORY_FILE,
    Epoch,
    History,
    draw_curve,
    encode_history,
    request_for_test,
)


@pytest.mark.parametrize("epochs", [1, 2, 80])
def test_the_curve_shows_the_loss_of_however_few_epochs(epochs: int) -> None:
    passed = [Epoch(k + 1, 2.0 / (k + 1), 0.5, None, 1e-3, 1.0) for k in range(epochs)]
    config = TrainConfig(data=DataConfig(kind="folder"))
    picture = imread(io.BytesIO(draw_curve(History(config, 0, 9, 0, 1, 1.0, 1, {}, passed))))
    below = picture[picture.shape[0] // 2 :, :, :3]
    blue = np.abs(below - np.array([0x1F, 0x77, 0xB4]) / 255.0).max(axis=2) < 0.02
    assert blue.sum() > 30


def test_the_tests_of_a_run_are_heard_by_its_ear_and_spoken_by_who_was_held_out(
    tmp_path: Path,
) -> None:
    data, spec = Path("digits"), CochleaSpec(channels=64)
    heard = InputSpec(ChannelSpec(64))
    config = TrainConfig(data=DataConfig(kind="fsdd", held_out_speaker="theo"), cochlea=spec)
    written = encode_history(History(config, 0, 9, 0, 1, 1.0, 1, {}, []))
    (tmp_path / HISTORY_FILE).write_bytes(written)
    assert request_for_test(tmp_path, data, ["a", "b"], heard) == Request(
        "test", data, ("a", "b"), ear=spec, held_out_speaker="theo"
    )
    bare = Request("test", data, ("a", "b"))
    assert request_for_test(tmp_path / "no run", data, ["a", "b"], heard) == bare
