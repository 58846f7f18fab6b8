"""Handwritten digits seen by the simulated camera.

The 1,797 scans of 8x8 pixels that scikit-learn carries (UCI, Optical Recognition of Handwritten
Digits). The first 1,397 are for training, the last 400 for tests: an image is never in both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.simulated import SimulatedCamera, record, upscale
from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.request import Request, Split
from retempo.training.errors import DatasetError

GEOMETRY = GridGeometry(34, 34)
IMAGES: dict[Split, range] = {"train": range(1397), "test": range(1397, 1797)}
LABELS = tuple("0123456789")

_SCAN_LEVELS = 16.0
# As large as a digit of N-MNIST stands in the same view.
_IMAGE_SIDE_PX = 24


def open_simulated_digits(request: Request) -> Dataset:
    """Open a split; the events of an image follow from its index and `request.seed` alone.

    Raises:
        DatasetError: scikit-learn is missing, or other labels than the ten digits are asked for.
    """
    labels = request.labels or LABELS
    if labels != LABELS:
        raise DatasetError(f"simulated-digits has the labels 0 to 9, not {', '.join(labels)}")
    images, digits = _scans()
    indices = IMAGES[request.split]

    def load(position: int) -> EventChunk:
        return show(images[indices[position]], indices[position], request.seed)

    return Dataset(
        name=f"simulated-digits {request.split}",
        geometry=GEOMETRY,
        labels=LABELS,
        names=tuple(f"scan-{index:04d}" for index in indices),
        targets=tuple(int(digits[index]) for index in indices),
        load=load,
    )


def show(image: NDArray[np.float64], index: int, seed: int) -> EventChunk:
    """Return what the camera records of scan `index`; pixel noise differs from scan to scan.

    Shapes: `image` `(8, 8)`, values 0 to 1.
    """
    mixed: Sequence[int] = np.random.SeedSequence([seed, index]).generate_state(1).tolist()
    camera = SimulatedCamera(
        upscale(image, _IMAGE_SIDE_PX), GEOMETRY, seed=mixed[0], name=f"scan-{index:04d}"
    )
    return record(camera)


def _scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DatasetError(
            "simulated-digits needs scikit-learn; pip install 'retempo[train]'"
        ) from error
    scans = load_digits()
    return scans.images / _SCAN_LEVELS, scans.target
