"""Labelled recordings: one file a data set, one line in this registry. Free of torch."""

from retempo.training.datasets.dataset import Dataset, Labelled, limited, subset
from retempo.training.datasets.folder import open_folder, open_folder_split
from retempo.training.datasets.fsdd import open_fsdd
from retempo.training.datasets.nmnist import open_nmnist
from retempo.training.datasets.request import Opener, Request, Split
from retempo.training.datasets.shd import open_shd
from retempo.training.datasets.simulated_digits import open_simulated_digits
from retempo.training.datasets.words import open_words
from retempo.training.datasets.writing import write_folder
from retempo.training.errors import DatasetError

__all__ = [
    "DATASETS",
    "Dataset",
    "Labelled",
    "Request",
    "Split",
    "limited",
    "open_dataset",
    "open_folder",
    "subset",
    "write_folder",
]

DATASETS: dict[str, Opener] = {
    "folder": open_folder_split,
    "fsdd": open_fsdd,
    "nmnist": open_nmnist,
    "shd": open_shd,
    "simulated-digits": open_simulated_digits,
    "words": open_words,
}


def open_dataset(kind: str, request: Request) -> Dataset:
    """Open one split of the data set of that kind.

    Raises:
        DatasetError: the kind is unknown, or its recordings are missing or unfit.
    """
    if kind not in DATASETS:
        raise DatasetError(f"unknown data set {kind!r}; known are {', '.join(sorted(DATASETS))}")
    return DATASETS[kind](request)
