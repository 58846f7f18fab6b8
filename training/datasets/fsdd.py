"""The Free Spoken Digit Dataset: a flat folder of `{digit}_{speaker}_{take}.wav`.

Test are takes 0 to 4 of every speaker, as its authors split it, or all takes of one speaker.

Source: Jackson et al., Free Spoken Digit Dataset, https://github.com/Jakobovski.
"""

import re
from pathlib import Path
from typing import NamedTuple

from retempo.training.datasets.dataset import Dataset
from retempo.training.datasets.request import Request, folder_of
from retempo.training.datasets.spoken import Spoken, files_in, open_spoken
from retempo.training.errors import DatasetError

LABELS = tuple("0123456789")
TEST_TAKES = range(5)

_NAME = re.compile(r"([0-9])_([^_]+)_([0-9]+)\.(?:wav|flac|ogg)")


class Take(NamedTuple):
    """What a file's name says."""

    path: Path
    digit: str
    speaker: str
    take: int


def open_fsdd(request: Request) -> Dataset:
    """Open a split, in the folder or in its folder `recordings`.

    Raises:
        DatasetError: the folder is missing or holds no such file; the held-out speaker is not in
            it; other labels than the ten digits are asked for; or see `open_spoken`.
    """
    folder = folder_of(request, "fsdd")
    labels = request.labels or LABELS
    if set(labels) != set(LABELS):
        raise DatasetError(f"fsdd has the labels 0 to 9, not {', '.join(labels)}")
    if (folder / "recordings").is_dir():
        folder /= "recordings"
    takes = [take for path in files_in(folder) for take in _take_of(path)]
    if not takes:
        raise DatasetError(
            f"{folder} holds no file like 7_jackson_12.wav; give the folder recordings of fsdd"
        )
    of_test = _is_test(takes, request.held_out_speaker)
    spoken = [
        Spoken(take.path, take.digit)
        for take, test in zip(takes, of_test, strict=True)
        if test == (request.split == "test")
    ]
    if not spoken:
        raise DatasetError(
            f"{folder} has no recording for the split {request.split}, of {len(takes)}; takes "
            f"{TEST_TAKES[0]} to {TEST_TAKES[-1]} are for tests, the others for training"
        )
    return open_spoken(request, folder, spoken, labels)


def _take_of(path: Path) -> list[Take]:
    name = _NAME.fullmatch(path.name)
    return [Take(path, name[1], name[2], int(name[3]))] if name else []


def _is_test(takes: list[Take], speaker: str | None) -> list[bool]:
    if speaker is None:
        return [take.take in TEST_TAKES for take in takes]
    known = sorted({take.speaker for take in takes})
    if speaker not in known:
        raise DatasetError(
            f"no recording is spoken by {speaker!r}; the speakers are {', '.join(known)}"
        )
    return [take.speaker == speaker for take in takes]
