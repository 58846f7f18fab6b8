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
from retempo.training.datasets.tonic_download import found
from retempo.training.errors import DatasetError

GEOMETRY = ChannelGeometry(700)

# A day: far beyond any recording, and far within 64-bit microseconds.
_LONGEST_S = 86_400.0


def open_shd(request: Request) -> Dataset:
    """Open `shd_train.h5` or `shd_test.h5` in the folder, or in its folder `SHD`.

    Raises:
        DatasetError: the file is missing and must not or cannot be fetched, or `read_shd` fails.
    """
    folder = folder_of(request, "shd")
    return read_shd(found(request, folder, "SHD", f"shd_{request.split}.h5"), request.labels)


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
            keys, targets = file["extra/keys"][:], file["labels"][:]
            times, units = file["spikes/times"][:], file["spikes/units"][:]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is no SHD file: {_one_line(error)}") from error
    words = _words(path, keys)
    if targets.dtype.kind not in "iu":
        raise DatasetError(
            f"{path} is damaged: labels are {targets.dtype}, expected whole numbers, the places of "
            "words in extra/keys"
        )
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
        targets=tuple(targets.tolist()),
        load=chunks.__getitem__,
    )


def _chunk(path: Path, index: int, times_s: Any, units: Any) -> EventChunk:
    wrong = _wrong_with(times_s, units)
    if wrong:
        raise DatasetError(f"{path} is damaged: recording {index} has {wrong}")
    t_us = np.rint(times_s.astype(np.float64) * 1e6).astype(np.int64)
    order = np.argsort(t_us, kind="stable")
    return EventChunk(
        t_us=t_us[order],
        t_end_us=int(t_us.max(initial=0)),
        channel=units[order].astype(np.uint16),
        stream=f"{path.stem}-{index:05d}",
    )


def _wrong_with(times_s: Any, units: Any) -> str:
    """Return what is wrong with the columns of a recording, and nothing if they are sound."""
    if np.ndim(times_s) != 1 or times_s.dtype.kind not in "fiu":
        return f"times of {_kind(times_s)}, expected a row of seconds"
    if np.ndim(units) != 1 or units.dtype.kind not in "iu":
        return f"units of {_kind(units)}, expected a row of whole numbers"
    if len(times_s) != len(units):
        return f"{len(times_s)} times and {len(units)} units, expected as many of both"
    times_s = times_s.astype(np.float64)
    sound = (times_s >= 0.0) & (times_s <= _LONGEST_S)
    if not sound.all():
        return f"the time {times_s[~sound][0]:g} s, expected 0 s to {_LONGEST_S:g} s"
    sound = (units >= 0) & (units < GEOMETRY.channels)
    if not sound.all():
        return f"the unit {units[~sound][0]}, expected 0 to {GEOMETRY.channels - 1}"
    return ""


def _kind(values: Any) -> str:
    return f"{np.asarray(values).dtype} in {np.ndim(values)} dimensions"


def _words(path: Path, keys: Any) -> tuple[str, ...]:
    try:
        return tuple(key.decode() if isinstance(key, bytes) else str(key) for key in keys)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is damaged: extra/keys holds {error.object!r}, expected words in UTF-8"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).strip("'\"")
