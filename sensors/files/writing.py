"""A source written as a file: whole, or not at all."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.files.format import Format, reason
from retempo.sensors.files.recording import Recording
from retempo.sensors.files.registry import FORMATS
from retempo.sensors.filters.select import all_inside, select
from retempo.sensors.geometry import Geometry
from retempo.sensors.outside import outside
from retempo.sensors.parts import recut
from retempo.sensors.problems import total
from retempo.sensors.tally import Tallied

# Formats are given chunks of this many events, so that equal events make equal files.
CHUNK_EVENTS = 65_536
# What a suffix of several formats stands for.
_FIRST_CHOICE = {".raw": "EVT3"}


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What has been written.

    `t_first_us` and `t_last_us` are the earliest and the latest event's time, None without events.
    `lost`, `problems` and `removed` count what the source has told, see `EventChunk`.
    """

    path: Path
    format: str
    geometry: Geometry
    events: int
    t_first_us: int | None
    t_last_us: int | None
    bytes: int
    lost: int
    problems: Mapping[str, int]
    removed: Mapping[str, int]


def write_recording(
    path: str | Path,
    source: Source,
    format: str | None = None,  # noqa: A002  (what people call it)
    *,
    overwrite: bool = False,
) -> WriteReport:
    """Write a source that ends; `open_recording` reads the same events back.

    The file appears under its name once it is whole: whatever fails leaves nothing behind, and what
    stood there before as it was. Events outside the source's geometry are left out and counted as
    the problem `outside`. Memory is bounded.

    Args:
        path: the file to write.
        source: what to write.
        format: the format's name; by the suffix if None.
        overwrite: whether to replace a file that is there.

    Raises:
        RecordingError: no such format, one that cannot hold the sensor or an event, a file that is
            there already or that the source itself is read from, or no way to write it.
        SensorError: the source cannot be read to its end.
    """
    path = Path(path)
    chosen = format_to_write(path, format)
    check_target(path, source, overwrite=overwrite)
    tally = Tallied(_Inside(source))
    with _whole(path) as unfinished:
        assert chosen.write is not None  # noqa: S101  (format_to_write has seen to it)
        chosen.write(unfinished, source.geometry, recut(tally, CHUNK_EVENTS))
        size = unfinished.stat().st_size
    return WriteReport(
        path=path,
        format=chosen.name,
        geometry=source.geometry,
        events=tally.events,
        t_first_us=tally.t_first_us,
        t_last_us=tally.t_last_us,
        bytes=size,
        lost=tally.lost,
        problems=tally.problems,
        removed=tally.removed,
    )


def writable_formats() -> tuple[Format, ...]:
    """Return the formats that can be written."""
    return tuple(known for known in FORMATS if known.write is not None)


def format_to_write(path: Path, name: str | None = None) -> Format:
    """Return the format of a name, or the one that a path's suffix stands for.

    Raises:
        RecordingError: there is none; the text lists those that can be written.
    """
    known = writable_formats()
    suffix = path.suffix.lower()
    if name is None:
        found = [each for each in known if suffix in each.suffixes]
        found.sort(key=lambda each: each.name != _FIRST_CHOICE.get(suffix))
    else:
        found = [each for each in known if each.name.lower() == name.lower()]
    if found:
        return found[0]
    wanted = f"the suffix of {path}" if name is None else f"the format {name!r}"
    listed = ", ".join(f"{each.name} ({' '.join(each.suffixes)})" for each in known)
    raise RecordingError(f"{wanted} is of no format that can be written; those are {listed}")


def check_target(path: Path, source: Source | None = None, *, overwrite: bool = False) -> None:
    """Check that a file may be written, before a source is read or even opened.

    Raises:
        RecordingError: it is there already, it is a folder or in none, or the source reads it.
    """
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; name the file to write in it")
    if not path.parent.is_dir():
        raise RecordingError(f"{path} cannot be written: there is no folder {path.parent}")
    if not path.exists():
        return
    within: object = source
    while within is not None:
        if isinstance(within, Recording) and within.path.exists() and path.samefile(within.path):
            raise RecordingError(f"{path} is what is read; write to another file")
        within = getattr(within, "source", None)
    if not overwrite:
        raise RecordingError(f"{path} is there already; remove it, or say --overwrite")


@dataclass(frozen=True, slots=True)
class _Inside:
    """A source without the events that its geometry has no address for."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        for chunk in self.source:
            if all_inside(chunk, self.geometry):
                yield chunk
                continue
            beyond = outside(chunk, self.geometry)
            counts = {"outside": int(np.count_nonzero(beyond))}
            yield replace(select(chunk, ~beyond), problems=total([chunk.problems, counts]))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield a path beside the target; what is written there takes the target's place at the end.

    Raises:
        RecordingError: it cannot be written.
    """
    try:
        folder = Path(mkdtemp(prefix=".retempo-", dir=path.parent))
        unfinished = folder / path.name
        try:
            yield unfinished
            unfinished.replace(path)
        except RecordingError as error:
            if str(unfinished) not in str(error):
                raise
            raise RecordingError(str(error).replace(str(unfinished), str(path))) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be written: {error.strerror or reason(error)}"
        ) from error
