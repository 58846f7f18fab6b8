"""N-MNIST whole: 60,000 training and 10,000 test recordings, a folder a digit.

Source: Orchard, Jayawant, Cohen, Thakor, Converting Static Image Datasets to Spiking Neuromorphic
Datasets Using Saccades, 2015.
"""

from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.folder import open_folder
from retempo.training.datasets.request import Request, folder_of
from retempo.training.datasets.tonic_download import found


def open_nmnist(request: Request) -> Dataset:
    """Open `Train` or `Test`, in the folder or in its folder `NMNIST`.

    Raises:
        DatasetError: the folder is missing and must not or cannot be fetched, or a recording is
            unfit, see `open_folder`.
    """
    folder = folder_of(request, "nmnist")
    split = found(request, folder, "NMNIST", request.split.capitalize())
    return open_folder(split, request.labels)
