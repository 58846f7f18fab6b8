"""N-MNIST whole: 60,000 training and 10,000 test recordings, a folder a digit.

Source: Orchard, Jayawant, Cohen, Thakor, Converting Static Image Datasets to Spiking Neuromorphic
Datasets Using Saccades, 2015.
"""

from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.folder import open_folder
from retempo.training.datasets.request import Request, folder_of
from retempo.training.datasets.tonic_download import download
from retempo.training.errors import DatasetError


def open_nmnist(request: Request) -> Dataset:
    """Open `Train` or `Test`, in the folder or in its folder `NMNIST`.

    Raises:
        DatasetError: the folder is missing and must not or cannot be fetched, or a recording is
            unfit, see `open_folder`.
    """
    folder = folder_of(request, "nmnist")
    split = request.split.capitalize()
    places = (folder / split, folder / "NMNIST" / split)
    if not any(place.is_dir() for place in places):
        download("NMNIST", folder, train=request.split == "train", allowed=request.download)
    for place in places:
        if place.is_dir():
            return open_folder(place, request.labels)
    raise DatasetError(f"{folder} holds no folder {split}; fetch it with [data] download = true")
