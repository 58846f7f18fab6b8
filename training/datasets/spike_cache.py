"""The events of a data set of sound in one file, so that it is heard once."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from retempo.exporters.files import write_atomically
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.events import EventChunk
from retempo.training.errors import DatasetError

# A damaged archive may also claim to be packed or locked in a way that Python cannot undo.
_DAMAGED = (OSError, KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)

# Raise it where an ear's events change for the same settings.
_VERSION = 1

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]


def cached(
    file: Path,
    folder: Path,
    paths: Sequence[Path],
    ear: EarSpec,
    load: Callable[[int], EventChunk],
) -> Callable[[int], EventChunk]:
    """Return a `load` that reads from the cache; it is made anew where it is not of this data set.

    What is kept belongs to the ear's settings and to name, size and time of change of each
    file: where any of these differs, or the cache is damaged, everything is heard again.

    Raises:
        DatasetError: a recording cannot be heard, or the cache cannot be written.
    """
    key = key_of(folder, paths, ear)
    columns = _read(file, key, len(paths))
    if columns is None:
        columns = _joined([load(index) for index in range(len(paths))])
        _write(file, key, columns)
    ends, t_us, channel = columns

    def load_kept(index: int) -> EventChunk:
        part = slice(ends[index], ends[index + 1])
        return EventChunk(
            t_us=t_us[part],
            t_end_us=int(t_us[part].max(initial=0)),
            channel=channel[part],
            stream=paths[index].stem,
        )

    return load_kept


def key_of(folder: Path, paths: Sequence[Path], ear: EarSpec) -> str:
    """Return the hash of all that the events of a data set follow from."""
    digest = hashlib.sha256(f"{_VERSION}\n".encode() + msgspec.json.encode(ear))
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
        digest.update(f"\n{path.relative_to(folder)}\t{stat.st_size}\t{stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _joined(chunks: Sequence[EventChunk]) -> Columns:
    ends = np.cumsum([0, *(len(chunk) for chunk in chunks)], dtype=np.int64)
    channels = [chunk.channel for chunk in chunks if chunk.channel is not None]
    return ends, np.concatenate([chunk.t_us for chunk in chunks]), np.concatenate(channels)


def _read(file: Path, key: str, recordings: int) -> Columns | None:
    try:
        # Opened here, since np.load leaves a damaged file open.
        with file.open("rb") as content, np.load(content, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            ends, t_us, channel = kept["ends"], kept["t_us"], kept["channel"]
    except _DAMAGED:
        return None
    if len(ends) != recordings + 1 or not ends[-1] == len(t_us) == len(channel):
        return None
    return ends, t_us, channel


def _write(file: Path, key: str, columns: Columns) -> None:
    ends, t_us, channel = columns
    content = io.BytesIO()
    np.savez(content, key=np.array(key), ends=ends, t_us=t_us, channel=channel)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content.getvalue())
    except OSError as error:
        raise DatasetError(f"cannot write the cache {file}: {error.strerror}") from error
