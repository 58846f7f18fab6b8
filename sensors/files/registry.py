"""The formats that are known, and the choice among them: content first, suffix second."""

from pathlib import Path

from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.errors import GeometryError, RecordingError
from retempo.sensors.files import (
    aedat2,
    aedat3,
    aedat4,
    audio,
    csv_text,
    dat,
    es,
    evt,
    hdf5,
    matlab,
    nas,
    nmnist,
    npz,
    numpy_table,
    rosbag,
)
from retempo.sensors.files.format import Format, OpenRequest
from retempo.sensors.files.fragment import split_fragment
from retempo.sensors.files.recording import Recording
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import POLICIES, Policy

# Those with a signature come before those that are only plausible.
FORMATS: tuple[Format, ...] = (
    aedat2.FORMAT,
    aedat3.FORMAT,
    aedat4.FORMAT,
    es.FORMAT,
    audio.FORMAT,
    numpy_table.FORMAT,
    npz.FORMAT,
    matlab.FORMAT,
    hdf5.FORMAT,
    rosbag.FORMAT,
    evt.EVT2,
    evt.EVT21,
    evt.EVT3,
    dat.FORMAT,
    csv_text.FORMAT,
    nmnist.FORMAT,
    nmnist.CALTECH,
    nas.FORMAT,
)

_HEAD_BYTES = 65_536
# The one kind of folder that is a recording.
ROS2_METADATA = "metadata.yaml"


def open_recording(
    path: str | Path,
    *,
    geometry: Geometry | None = None,
    cochlea: CochleaSpec | None = None,
    policy: Policy = "raise",
    chunk_events: int = 65_536,
    part: str = "",
    columns: str = "",
) -> Recording:
    """Open a recorded event file by its content, and by its suffix where that is silent.

    `geometry` overrides what the file or its format says; `cochlea` hears a sound file, the default
    one if None. `policy` says what follows from damage, see `Recording`. Only the head is read.

    `part` names one recording of a file that holds several (a sample, a group, a topic), `columns`
    what the columns of a table hold, as in `"x,y,t_us,p"`, where the file does not say it. Both may
    follow the path instead, as in `shd.h5#12` or `events.txt#columns=x,y,t,p`.

    Raises:
        RecordingError: no such file, a directory, an empty file, no known format, a head that
            its format forbids, no geometry known, or a part that is missing or needed.
    """
    path, fragment = split_fragment(path)
    part, columns = part or fragment.part, columns or fragment.columns
    if chunk_events < 1:
        raise RecordingError(f"chunk_events is {chunk_events}, expected at least 1 event a chunk")
    if policy not in POLICIES:
        raise RecordingError(f"the policy is {policy!r}, expected one of {', '.join(POLICIES)}")
    head = _read_head(path)
    chosen = _choose(path, head)
    if chosen is audio.FORMAT and cochlea is not None:
        return Recording(
            path, chosen.name, audio.open_sound(path, head, cochlea), policy, chunk_events
        )
    try:
        opened = chosen.open(OpenRequest(path, head, geometry, part, columns))
    except GeometryError as error:
        raise RecordingError(f"{path} states a size that no sensor has: {error}") from error
    return Recording(path, chosen.name, opened, policy, chunk_events, part)


def hear_recording(
    path: str | Path, cochlea: CochleaSpec, *, chunk_events: int = 65_536
) -> Recording:
    """Open a sound file to be heard by another cochlea than the default one of `open_recording`.

    Raises:
        RecordingError: as `open_recording`, or the file is no sound.
    """
    path = Path(path)
    head = _read_head(path)
    opened = audio.open_sound(path, head, cochlea)
    return Recording(path, audio.FORMAT.name, opened, chunk_events=chunk_events)


def _read_head(path: Path) -> bytes:
    if not path.exists():
        raise RecordingError(f"{path} does not exist; give the path of a recorded event file")
    if (path / ROS2_METADATA).is_file():
        return b""
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
