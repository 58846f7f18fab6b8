"""Sound files with a word each, heard by a cochlea when they are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import hear_recording, read_all
from retempo.sensors.geometry import ChannelGeometry
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
        request: its cochlea and its cache are used.
        folder: what the files' names start from.
        spoken: the files, in the order of the data set; each word is one of `labels`.
        labels: all words.

    Raises:
        DatasetError: the cache cannot be written, or, with a cache, a file cannot be heard.
    """
    paths = [each.path for each in spoken]

    def load(index: int) -> EventChunk:
        return hear_file(paths[index], request.cochlea)

    heard = None
    if request.cache is not None:
        file = request.cache.with_name(f"{request.cache.stem}-{request.split}.npz")
        heard = cached(file, folder, paths, request.cochlea, load)
    return Dataset(
        name=str(folder),
        geometry=ChannelGeometry(request.cochlea.channels),
        labels=labels,
        names=tuple(str(path.relative_to(folder)) for path in paths),
        targets=tuple(labels.index(each.word) for each in spoken),
        load=load if heard is None else heard,
    )


def hear_file(path: Path, cochlea: CochleaSpec) -> EventChunk:
    """Hear a sound file whole.

    Raises:
        DatasetError: it is missing, damaged or no sound.
    """
    try:
        events = read_all(hear_recording(path, cochlea))
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
