"""Fetching published data sets through tonic, an optional package under the GPL-3.

Tonic only downloads and unpacks here; the files are read by our own readers.
"""

from importlib import import_module
from pathlib import Path

from retempo.training.datasets.request import Request
from retempo.training.errors import DatasetError


def found(request: Request, folder: Path, name: str, place: str) -> Path:
    """Return `folder/place` or `folder/name/place`, where tonic puts it, fetched if need be.

    Raises:
        DatasetError: it is missing and must not or cannot be fetched.
    """
    places = (folder / place, folder / name / place)
    if not any(path.exists() for path in places):
        download(name, folder, train=request.split == "train", allowed=request.download)
    for path in places:
        if path.exists():
            return path
    raise DatasetError(
        f"tonic fetched {name} into {folder}, but no {place}; empty the folder and fetch it anew"
    )


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
