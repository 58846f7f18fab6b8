"""Sound as events: WAV, FLAC, Ogg (Vorbis and Opus) and MP3 through an ear."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from retempo.sensors.columns import ChannelColumns
from retempo.sensors.ears.ear import Whole, measured
from retempo.sensors.ears.registry import (
    DEFAULT,
    EarSpec,
    geometry_of,
    start,
    wants_whole,
    with_channels,
)
from retempo.sensors.errors import CochleaError, RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.format import Format, Opened, OpenRequest, of_channels
from retempo.sensors.files.sound import rate_of_sound, read_sound
from retempo.sensors.geometry import ChannelGeometry


def open_sound(
    path: Path, head: bytes, geometry: ChannelGeometry | None, ear: EarSpec = DEFAULT
) -> Opened:
    """A sound file whose head has been checked, to be heard by an ear.

    A claimed row of channels sets how many the ear has.

    Raises:
        RecordingError: the file is truncated, no sound, or at a rate that the ear cannot hear;
            or soundfile is missing.
    """
    rate_hz = rate_of_sound(path, head)
    try:
        if geometry is not None:
            ear = with_channels(ear, geometry.channels)
        # Whether it can hear the rate is told here, before anything is decoded.
        start(ear, rate_hz, Whole(0, 0.0))
    except CochleaError as error:
        raise RecordingError(f"{path}: {error}") from error
    return Opened(geometry_of(ear), partial(_decode, path, ear, rate_hz), heard_by=ear)


def _sniff(head: bytes, path: Path) -> bool:
    del path
    wave = head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"
    return wave or head.startswith((b"fLaC", b"OggS", b"ID3"))


def _decode(path: Path, ear: EarSpec, rate_hz: int) -> Iterator[ChannelColumns]:
    whole = measured(read_sound(path)) if wants_whole(ear) else None
    try:
        hearing = start(ear, rate_hz, whole)
        state = hearing.start
        for samples in read_sound(path):
            state, events = hearing.feed(state, samples)
            yield _columns(events)
        yield _columns(hearing.finish(state))
    except CochleaError as error:
        raise RecordingError(f"{path}: {error}") from error


def _columns(events: EventChunk) -> ChannelColumns:
    assert events.channel is not None  # noqa: S101  (an ear has channels)
    return ChannelColumns(events.t_us, events.channel)


def _open(request: OpenRequest) -> Opened:
    heard = partial(open_sound, ear=request.ear or DEFAULT)
    return of_channels(heard)(request)


FORMAT = Format("Sound", (".wav", ".flac", ".ogg", ".opus", ".mp3"), _sniff, _open)
