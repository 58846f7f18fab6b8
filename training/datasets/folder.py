"""A folder of recordings: `{index}_{label}.bin`, or one folder a label."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import Recording, open_recording, read_all
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import Policy
from retempo.training.datasets.dataset import Dataset, label_order
from retempo.training.datasets.request import Request, folder_of
from retempo.training.errors import DatasetError


def open_folder(
    folder: str | Path,
    labels: Sequence[str] | None = None,
    ear: EarSpec | None = None,
    *,
    geometry: Geometry | None = None,
    policy: Policy = "raise",
) -> Dataset:
    """Open a folder of labelled recordings of any format that `open_recording` reads.

    Two layouts: files named `{index}_{label}.{suffix}`, or folders named after their label. Files
    and folders whose name begins with a dot are left out.

    Args:
        folder: the folder.
        labels: all labels in their order; those that occur, in order, if None.
        ear: what hears files of sound; the default one if None.
        geometry: the sensor, where the files do not say; their own if None.
        policy: what follows from damage, see `sensors.files.Recording`.

    Raises:
        DatasetError: the folder is missing or empty; a file has no label or one that `labels`
            lacks, cannot be read, or is of another sensor than the first. The text names the file.
    """
    folder = Path(folder)
    found = sorted(_labelled_files(folder))
    if not found:
        raise DatasetError(
            f"{folder} holds no recording; expected files like 00001_5.bin, or a folder a label"
        )
    known = label_order({label for _, label in found}) if labels is None else tuple(labels)
    for path, label in found:
        if label not in known:
            raise DatasetError(f"{path} is labelled {label!r}; the labels are {', '.join(known)}")
    paths = [path for path, _ in found]

    def opened(path: Path) -> Recording:
        try:
            return open_recording(path, geometry=geometry, ear=ear, policy=policy)
        except SensorError as error:
            raise DatasetError(str(error)) from error

    first = opened(paths[0])

    def load(index: int) -> EventChunk:
        return _read(opened(paths[index]), first)

    return Dataset(
        name=str(folder),
        geometry=first.geometry,
        labels=known,
        names=tuple(str(path.relative_to(folder)) for path in paths),
        targets=tuple(known.index(label) for _, label in found),
        load=load,
        ear=first.heard_by,
    )


def open_folder_split(request: Request) -> Dataset:
    """Open the folder of a split: `path/train` or `path/test`, or for training `path` itself.

    Raises:
        DatasetError: see `open_folder`; or there is no such split.
    """
    folder = folder_of(request, "folder")
    split = folder / request.split
    if split.is_dir():
        return open_folder(split, request.labels, request.ear)
    if request.split != "train":
        raise DatasetError(f"{folder} has no folder {request.split!r}; name the test folder itself")
    return open_folder(folder, request.labels, request.ear)


def _labelled_files(folder: Path) -> Iterator[tuple[Path, str]]:
    for entry in _entries(folder):
        if not entry.is_dir():
            _, underscore, label = entry.stem.rpartition("_")
            if not underscore or not label:
                raise DatasetError(
                    f"{entry} carries no label; name it like 00001_5.bin, or put it into a folder "
                    "named after its label"
                )
            yield entry, label
            continue
        for path in _entries(entry):
            if path.is_dir():
                raise DatasetError(f"{path} is a folder in a label's folder; expected recordings")
            yield path, entry.name


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DatasetError(f"cannot read the folder {folder}: {error.strerror}") from error


def _read(recording: Recording, first: Recording) -> EventChunk:
    try:
        events = read_all(recording)
    except SensorError as error:
        raise DatasetError(str(error)) from error
    if recording.geometry != first.geometry:
        raise DatasetError(
            f"{recording.path} is {recording.geometry}, {first.path} is {first.geometry}; "
            "keep one sensor a "
            "folder"
        )
    return events
