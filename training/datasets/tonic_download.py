"""Fetching published data sets through tonic, an optional package under the GPL-3.

Tonic only downloads and unpacks here; the files are read by our own readers.
"""

from importlib import import_module
from pathlib import Path

from retempo.training.errors import DatasetError


def download(name: str, folder: Path, *, train: bool, allowed: bool) -> None:
    """Let tonic put one split of a data set into `folder`.

    Raises:
        DatasetError: downloading was not asked for, tonic is missing, or the download fails.
    """
    if not allowed:
        raise DatasetError(
            f"{folder} holds no {name}; give the folder that does, or set [data] download = true"
        )
    try:
        tonic_datasets = import_module("tonic.datasets")
    except ImportError as error:
        raise DatasetError(
            f"downloading {name} needs tonic; pip install 'retempo[tonic]'"
        ) from error
    try:
        getattr(tonic_datasets, name)(save_to=str(folder), train=train)
    # Tonic leaks whatever its transport and its archives raise.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"tonic could not fetch {name} into {folder}: {reason}") from error
