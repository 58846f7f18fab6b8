"""What a data set is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retempo.sensors.ears.registry import DEFAULT, EarSpec
from retempo.training.datasets.dataset import Dataset
from retempo.training.errors import DatasetError

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Request:
    """One split of a data set of some kind.

    `path` is the folder on disk, None for a data set that needs none. `labels` fixes the labels and
    their order, as when a test set is read for a trained network. `download` allows to fetch what
    is missing. `seed` is that of the simulated sensor, for data sets that have one. `ear` hears
    data sets of sound; `cache` is a file to keep its events in, one a split; `held_out_speaker`
    splits by speaker, where a data set names its speakers.
    """

    split: Split
    path: Path | None = None
    labels: tuple[str, ...] | None = None
    download: bool = False
    seed: int = 0
    ear: EarSpec = DEFAULT
    cache: Path | None = None
    held_out_speaker: str | None = None


Opener = Callable[[Request], Dataset]


def folder_of(request: Request, kind: str) -> Path:
    """Return the folder that a request names.

    Raises:
        DatasetError: it names none.
    """
    if request.path is None:
        raise DatasetError(f"the data set {kind} needs a folder; set [data] path or give --data")
    return request.path
