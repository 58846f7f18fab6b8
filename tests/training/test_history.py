"""The picture of a training."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from retempo.training.config import DataConfig, TrainConfig
from retempo.training.history import Epoch, History, draw_curve


@pytest.mark.parametrize("epochs", [1, 2, 80])
def test_the_curve_shows_the_loss_of_however_few_epochs(epochs: int) -> None:
    passed = [Epoch(k + 1, 2.0 / (k + 1), 0.5, None, 1e-3, 1.0) for k in range(epochs)]
    config = TrainConfig(data=DataConfig(kind="folder"))
    picture = imread(io.BytesIO(draw_curve(History(config, 0, 9, 0, 1, 1.0, 1, {}, passed))))
    below = picture[picture.shape[0] // 2 :, :, :3]
    blue = np.abs(below - np.array([0x1F, 0x77, 0xB4]) / 255.0).max(axis=2) < 0.02
    assert blue.sum() > 30
