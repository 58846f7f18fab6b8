"""The formats that are known, and the choice among them: content first, suffix second."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.errors import GeometryError, RecordingError
from retempo.sensors.files import aedat4, audio, csv_text, dat, es, evt, nmnist, numpy_table
from retempo.sensors.files.format import Format, of_channels
from retempo.sensors.files.recording import Recording
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import POLICIES, Policy

# Those with a signature come before those that are only plausible.
FORMATS: tuple[Format, ...] = (
    aedat4.FORMAT,
    es.FORMAT,
    audio.FORMAT,
    numpy_table.FORMAT,
    evt.EVT2,
    evt.EVT3,
    dat.FORMAT,
    csv_text.FORMAT,
    nmnist.FORMAT,
)

_HEAD_BYTES = 65_536


def open_recording(
    path: str | Path,
    *,
    geometry: Geometry | None = None,
    ear: EarSpec | None = None,
    policy: Policy = "raise",
    chunk_events: int = 65_536,
) -> Recording:
    """Open a recorded event file by its content, and by its suffix where that is silent.

    `geometry` overrides what the file or its format says; `ear` hears a sound file, the default one
    if None. `policy` says what follows from damage, see `Recording`. Only the head is read.

    Raises:
        RecordingError: no such file, a directory, an empty file, no known format, a head that
            its format forbids, or no geometry known.
    """
    path = Path(path)
    if chunk_events < 1:
        raise RecordingError(f"chunk_events is {chunk_events}, expected at least 1 event a chunk")
    if policy not in POLICIES:
        raise RecordingError(f"the policy is {policy!r}, expected one of {', '.join(POLICIES)}")
    head = _read_head(path)
    chosen = _choose(path, head)
    if chosen is audio.FORMAT and ear is not None:
        chosen = replace(chosen, open=of_channels(partial(audio.open_sound, ear=ear)))
    try:
        opened = chosen.open(path, head, geometry)
    except GeometryError as error:
        raise RecordingError(f"{path} states a size that no sensor has: {error}") from error
    return Recording(path, chosen.name, opened, policy, chunk_events)


def _read_head(path: Path) -> bytes:
    if not path.exists():
        raise RecordingError(f"{path} does not exist; give the path of a recorded event file")
    if path.is_dir():
        raise RecordingError(f"{path} is a directory; give the path of one file in it")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise RecordingError(f"{path} is empty (0 bytes); record or copy it again")
    return head


def _choose(path: Path, head: bytes) -> Format:
    for known in FORMATS:
        if known.sniff(head, path):
            return known
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes:
            return known
    names = ", ".join(f"{known.name} ({' '.join(known.suffixes)})" for known in FORMATS)
    raise RecordingError(
        f"{path} is in no known format (it begins with {head[:12]!r}); known are {names}"
    )
