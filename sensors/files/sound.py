"""Sound files as pieces of samples, as the soundfile package decodes them.

A file that ends early is told where its format states a length or an end: WAV, FLAC and Ogg, not
MP3.
"""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import reason

_PIECE_FRAMES = 8_192
# Writers that do not know their length yet put a number near the largest of 31 or 32 bits.
_UNKNOWN_LENGTH = 0x7FFF_0000
# More is how the decoder says that a FLAC file does not state its length.
_MOST_FRAMES = 1 << 60
_OGG_TAIL_BYTES = 65_536 + 512
_OGG_LAST_PAGE = 4


def rate_of_sound(path: Path, head: bytes) -> int:
    """The sample rate in Hz of a sound file whose ends have been checked, without decoding it.

    Args:
        path: the file.
        head: its first bytes.

    Raises:
        RecordingError: the file is truncated or no sound, or soundfile is missing.
    """
    if head.startswith(b"RIFF"):
        _check_riff(path, head)
    if head.startswith(b"OggS"):
        _check_ogg(path)
    with _opened(path) as file:
        rate_hz: int = file.samplerate
        if file.frames > _MOST_FRAMES:
            raise RecordingError(
                f"{path} does not state its length, which the decoder needs; encode it again from "
                "a file, not from a pipe"
            )
    return rate_hz


def read_sound(path: Path) -> Iterator[NDArray[np.float64]]:
    """The samples, full scale being 1, piece by piece, its channels mixed down to one.

    Shapes: a piece is `(samples,)`.

    Raises:
        RecordingError: the file is damaged, truncated or gone.
    """
    heard = 0
    with _opened(path) as file:
        stated = 0 if file.format == "MP3" else file.frames
        try:
            while len(piece := file.read(_PIECE_FRAMES, dtype="float64", always_2d=True)):
                heard += len(piece)
                yield piece.mean(axis=1)
        except RuntimeError as error:
            raise RecordingError(
                f"{path} is damaged after {heard} samples: {_why(error)}; copy or record it again"
            ) from error
    if heard < stated:
        raise RecordingError(
            f"{path} is truncated: it states {stated} samples and holds {heard}; copy it again"
        )


def _opened(path: Path) -> Any:
    try:
        soundfile = import_module("soundfile")
    # OSError: the package is there, the library that it wraps is not.
    except (ImportError, OSError) as error:
        raise RecordingError(
            f"{path} is sound, which needs soundfile; pip install 'retempo[audio]'"
        ) from error
    try:
        # By its number, since a name would let the suffix beat the content.
        return soundfile.SoundFile(os.open(path, os.O_RDONLY), closefd=True)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except RuntimeError as error:
        raise RecordingError(
            f"{path} is no readable sound: {_why(error)}; copy or record it again"
        ) from error


def _why(error: RuntimeError) -> str:
    # The text of soundfile's own errors begins with a file's number, which says nothing.
    return reason(error).split(": ", 1)[-1]


def _check_riff(path: Path, head: bytes) -> None:
    stated = int.from_bytes(head[4:8], "little")
    size = path.stat().st_size
    if 0 < stated < _UNKNOWN_LENGTH and size < stated + 8:
        raise RecordingError(
            f"{path} is truncated: it states {stated + 8} bytes and has {size}; copy it again"
        )


def _check_ogg(path: Path) -> None:
    """Look at the last page: its flags, and whether its own table of lengths fits the file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _OGG_TAIL_BYTES))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    segments = page[26] if len(page) > 26 else 256
    whole = 27 + segments + sum(page[27 : 27 + segments]) <= len(page)
    if not whole or not page[5] & _OGG_LAST_PAGE:
        raise RecordingError(f"{path} is truncated: its last Ogg page is missing; copy it again")
