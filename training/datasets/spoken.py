"""Sound files with a word each, heard by an ear when they are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from retempo.sensors.ears.registry import EarSpec, geometry_of
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all
from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.request import Request
from retempo.training.datasets.spike_cache import cached
from retempo.training.errors import DatasetError


class Spoken(NamedTuple):
    """A sound file and the word that is spoken in it."""

    path: Path
    word: str


def open_spoken(
    request: Request, folder: Path, spoken: Sequence[Spoken], labels: tuple[str, ...]
) -> Dataset:
    """Make a data set of sound files; with a cache they are all heard now, else one by one.

    Args:
        request: its ear and its cache are used.
        folder: what the files' names start from.
        spoken: the files, in the order of the data set; each word is one of `labels`.
        labels: all words.

    Raises:
        DatasetError: the cache cannot be written, or, with a cache, a file cannot be heard.
    """
    paths = [each.path for each in spoken]

    def load(index: int) -> EventChunk:
        return hear_file(paths[index], request.ear)

    heard = None
    if request.cache is not None:
        file = request.cache.with_name(f"{request.cache.stem}-{request.split}.npz")
        heard = cached(file, folder, paths, request.ear, load)
    return Dataset(
        name=str(folder),
        geometry=geometry_of(request.ear),
        labels=labels,
        names=tuple(str(path.relative_to(folder)) for path in paths),
        targets=tuple(labels.index(each.word) for each in spoken),
        load=load if heard is None else heard,
        ear=request.ear,
    )


def hear_file(path: Path, ear: EarSpec) -> EventChunk:
    """Hear a sound file whole.

    Raises:
        DatasetError: it is missing, damaged or no sound.
    """
    try:
        recording = open_recording(path, ear=ear)
        if recording.heard_by is None:
            raise DatasetError(f"{path} is {recording.format}, expected a sound file")
        events = read_all(recording)
    except SensorError as error:
        raise DatasetError(str(error)) from error
    return replace(events, stream=path.stem)


def files_in(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name; what begins with a dot or an underscore is left out.

    Raises:
        DatasetError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name[0] not in "._")
    except OSError as error:
        raise DatasetError(f"cannot read the folder {folder}: {error.strerror}") from error
