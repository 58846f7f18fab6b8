"""A data set written as a folder of N-MNIST recordings."""

from pathlib import Path

from retempo.sensors.errors import SensorError
from retempo.sensors.files import write_nmnist
from retempo.training.datasets.dataset import Dataset
from retempo.training.errors import DatasetError


def write_folder(dataset: Dataset, folder: str | Path) -> list[Path]:
    """Write each recording as `{index}_{label}.bin`, which `open_folder` reads back.

    Raises:
        DatasetError: the folder is not empty or cannot be written, or the format cannot hold a
            recording.
    """
    folder = Path(folder)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DatasetError(f"{folder} is not empty; write into a new folder")
        for index in range(len(dataset)):
            item = dataset[index]
            path = folder / f"{index:05d}_{dataset.labels[item.label]}.bin"
            write_nmnist(path, item.events)
            written.append(path)
    except SensorError as error:
        raise DatasetError(str(error)) from error
    except OSError as error:
        raise DatasetError(f"cannot write the folder {folder}: {error.strerror}") from error
    return written
