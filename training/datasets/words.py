"""One folder a word, of sound files: Speech Commands, the Multilingual Spoken Words Corpus, yours.

The split is that of the corpus: `testing_list.txt` and `validation_list.txt` as of Speech Commands,
`*_splits.csv` as of MSWC, folders `train` and `test`, in this order. Where there is none, the
speaker in a file's name (before `_nohash_`), or the whole name, is hashed, and a tenth are for
tests. What a corpus sets aside for validation is in neither split.

Sources: Warden, Speech Commands, 2018; Mazumder et al., Multilingual Spoken Words Corpus, 2021.
"""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

from retempo.training.datasets.dataset import Dataset, label_order
from retempo.training.datasets.request import Request, Split, folder_of
from retempo.training.datasets.spoken import Spoken, files_in, open_spoken
from retempo.training.errors import DatasetError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")

_TEST_OF_TEN = 1
_SETS: dict[str, Split | None] = {"TRAIN": "train", "TEST": "test", "DEV": None}


def open_words(request: Request) -> Dataset:
    """Open a split; `request.labels` chooses words and their order, all of them if None.

    Raises:
        DatasetError: the folder is missing; fewer than two words, or a word asked for is not there;
            the split is empty; or see `open_spoken`.
    """
    root = folder_of(request, "words")
    files, words = _split(root, request)
    if len(words) < 2:
        raise DatasetError(
            f"{root} holds {f'one word, {words[0]!r}' if words else 'no folder of sound files'}; "
            "expected two or more folders named after their word"
        )
    labels = request.labels or label_order(set(words))
    missing = [word for word in labels if word not in words]
    if missing:
        raise DatasetError(f"{root} has no word {missing[0]!r}; it has {_some(words)}")
    spoken = [Spoken(path, path.parent.name) for path in files if path.parent.name in labels]
    if not spoken:
        raise DatasetError(
            f"{root} has no recording of {_some(labels)} in the split {request.split}"
        )
    return open_spoken(request, root, spoken, labels)


def _split(root: Path, request: Request) -> tuple[list[Path], list[str]]:
    """Return the files of a split, and all words of the folder."""
    tables = sorted(root.glob("*splits.csv"))
    if (root / "testing_list.txt").is_file():
        files, words = _sound_files(root)
        return _by_lists(root, files, request.split), words
    if tables:
        clips = root / "clips" if (root / "clips").is_dir() else root
        files, words = _sound_files(clips)
        return _by_table(tables[0], files, request.split), words
    if (root / "train").is_dir() and (root / "test").is_dir():
        files, words = _sound_files(root / "train")
        if request.split == "test":
            files, _ = _sound_files(root / "test")
        return files, words
    files, words = _sound_files(root)
    return [path for path in files if _hashed_split(path) == request.split], words


def _sound_files(folder: Path) -> tuple[list[Path], list[str]]:
    files, words = [], []
    for entry in files_in(folder):
        if not entry.is_dir():
            continue
        own = [path for path in files_in(entry) if path.suffix.lower() in SUFFIXES]
        if own:
            words.append(entry.name)
            files += own
    return files, words


def _by_lists(root: Path, files: list[Path], split: Split) -> list[Path]:
    test = _listed(root / "testing_list.txt")
    validation = root / "validation_list.txt"
    others = _listed(validation) if validation.is_file() else set()
    if split == "test":
        return [path for path in files if _key(path) in test]
    return [path for path in files if _key(path) not in test | others]


def _listed(file: Path) -> set[str]:
    return {line.strip() for line in _text(file).splitlines() if line.strip()}


def _by_table(table: Path, files: list[Path], split: Split) -> list[Path]:
    rows = csv.DictReader(_text(table).splitlines())
    columns = set(rows.fieldnames or ())
    if not {"SET", "LINK"} <= columns:
        raise DatasetError(f"{table} has the columns {_some(columns)}, expected SET and LINK")
    sets: dict[str, Split | None] = {}
    for row in rows:
        if row["SET"] not in _SETS:
            raise DatasetError(
                f"{table} line {rows.line_num} has the SET {row['SET']!r}, expected "
                f"{', '.join(_SETS)}"
            )
        sets[row["LINK"]] = _SETS[row["SET"]]
    return [path for path in files if sets.get(_key(path)) == split]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DatasetError(f"cannot read {file}: {reason}") from error


def _key(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _hashed_split(path: Path) -> Split:
    speaker = path.stem.partition("_nohash_")[0]
    digest = hashlib.sha256(speaker.encode()).digest()
    return "test" if int.from_bytes(digest[:8]) % 10 < _TEST_OF_TEN else "train"


def _some(words: Iterable[str]) -> str:
    known = sorted(words)
    return ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
