"""Sound as events: WAV, FLAC, Ogg (Vorbis and Opus) and MP3 through the cochlea."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from retempo.sensors.cochlea import CochleaSpec, coefficients_of, hear, new_state
from retempo.sensors.columns import ChannelColumns
from retempo.sensors.errors import CochleaError, RecordingError
from retempo.sensors.files.format import Format, Opened, of_channels
from retempo.sensors.files.sound import rate_of_sound, read_sound
from retempo.sensors.geometry import ChannelGeometry


def open_sound(path: Path, head: bytes, spec: CochleaSpec) -> Opened:
    """A sound file whose head has been checked, to be heard by a cochlea.

    Raises:
        RecordingError: the file is truncated, no sound, or at a rate that the cochlea cannot hear;
            or soundfile is missing.
    """
    rate_hz = rate_of_sound(path, head)
    try:
        coefficients_of(spec, rate_hz)
    except CochleaError as error:
        raise RecordingError(f"{path}: {error}") from error
    decode = partial(_decode, path, spec, rate_hz)
    return Opened(ChannelGeometry(spec.channels), decode)


def _sniff(head: bytes, path: Path) -> bool:
    del path
    wave = head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"
    return wave or head.startswith((b"fLaC", b"OggS", b"ID3"))


def _open(path: Path, head: bytes, geometry: ChannelGeometry | None) -> Opened:
    spec = CochleaSpec()
    if geometry is not None:
        spec = msgspec.structs.replace(spec, channels=geometry.channels)
    return open_sound(path, head, spec)


def _decode(path: Path, spec: CochleaSpec, rate_hz: int) -> Iterator[ChannelColumns]:
    coefficients = coefficients_of(spec, rate_hz)
    state = new_state(coefficients)
    for samples in read_sound(path):
        try:
            state, events = hear(coefficients, state, samples)
        except CochleaError as error:
            raise RecordingError(f"{path}: {error}") from error
        assert events.channel is not None  # noqa: S101  (a cochlea has channels)
        yield ChannelColumns(events.t_us, events.channel)


FORMAT = Format("Sound", (".wav", ".flac", ".ogg", ".opus", ".mp3"), _sniff, of_channels(_open))
