"""Spiking Heidelberg Digits: spoken digits in German and English through a model of the cochlea.

An HDF5 file a split: `spikes/times` in seconds and `spikes/units`, an array a recording each,
`labels`, and the words of the labels in `extra/keys`; 700 channels.

Source: Cramer, Stradmann, Schemmel, Zenke, The Heidelberg Spiking Data Sets for the Systematic
Evaluation of Spiking Neural Networks, 2020.
"""

from pathlib import Path
from typing import Any

import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry
from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.request import Request, folder_of
from retempo.training.datasets.tonic_download import download
from retempo.training.errors import DatasetError

GEOMETRY = ChannelGeometry(700)


def open_shd(request: Request) -> Dataset:
    """Open `shd_train.h5` or `shd_test.h5` in the folder, or in its folder `SHD`.

    Raises:
        DatasetError: the file is missing and must not or cannot be fetched, or `read_shd` fails.
    """
    folder = folder_of(request, "shd")
    name = f"shd_{request.split}.h5"
    places = (folder / name, folder / "SHD" / name)
    if not any(path.is_file() for path in places):
        download("SHD", folder, train=request.split == "train", allowed=request.download)
    for path in places:
        if path.is_file():
            return read_shd(path, request.labels)
    raise DatasetError(f"{folder} holds no {name}; fetch it with [data] download = true")


def read_shd(path: Path, labels: tuple[str, ...] | None = None) -> Dataset:
    """Read an HDF5 file of SHD's format whole.

    Times are rounded to microseconds and sorted, since half-precision seconds come in ties.

    Raises:
        DatasetError: the file is damaged, of another layout, or has other labels than asked for.
    """
    try:
        import h5py
    except ImportError as error:
        raise DatasetError("shd needs h5py; pip install 'retempo[train]'") from error
    try:
        with h5py.File(path, "r") as file:
            words = tuple(_text(key) for key in file["extra/keys"][:])
            targets = tuple(int(target) for target in file["labels"][:])
            times, units = file["spikes/times"][:], file["spikes/units"][:]
    except (OSError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is no SHD file: {_one_line(error)}") from error
    if labels is not None and labels != words:
        raise DatasetError(f"{path} has the labels {', '.join(words)}, not {', '.join(labels)}")
    if not len(times) == len(units) == len(targets):
        raise DatasetError(
            f"{path} is damaged: {len(times)} times, {len(units)} units, {len(targets)} labels"
        )
    chunks = [
        _chunk(path, index, *spikes) for index, spikes in enumerate(zip(times, units, strict=True))
    ]
    return Dataset(
        name=str(path),
        geometry=GEOMETRY,
        labels=words,
        names=tuple(chunk.stream for chunk in chunks),
        targets=targets,
        load=chunks.__getitem__,
    )


def _chunk(path: Path, index: int, times_s: Any, units: Any) -> EventChunk:
    name = f"{path.stem}-{index:05d}"
    if times_s.shape != units.shape or (units >= GEOMETRY.channels).any():
        raise DatasetError(
            f"{path} is damaged: recording {index} has {len(times_s)} times, {len(units)} units, "
            f"and units up to {max(units, default=0)}; expected equal counts and {GEOMETRY}"
        )
    t_us = np.rint(times_s.astype(np.float64) * 1e6).astype(np.int64)
    order = np.argsort(t_us, kind="stable")
    return EventChunk(
        t_us=t_us[order],
        t_end_us=int(t_us.max(initial=0)),
        channel=units[order].astype(np.uint16),
        stream=name,
    )


def _text(key: object) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).strip("'\"")
