"""The decoders of the faery package, behind our columns and our errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faery
import numpy as np

from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import reason
from retempo.sensors.geometry import GridGeometry

_OURS_TO_PASS_ON = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)


def decode_with_faery(path: Path, **options: Any) -> Iterator[Columns]:
    """The events of a file, packet by packet as faery decodes it.

    `options` are those of `faery.events_stream_from_file`. Its `chunks()` is not used, since it
    can loop for ever.

    Raises:
        RecordingError: faery cannot decode the file to its end.
    """
    try:
        for packet in faery.events_stream_from_file(path, **options):
            yield Columns(
                t_us=packet["t"].astype(np.int64),
                x=np.ascontiguousarray(packet["x"]),
                y=np.ascontiguousarray(packet["y"]),
                on=np.ascontiguousarray(packet["on"]),
            )
    except _OURS_TO_PASS_ON:
        raise
    # A panic in the Rust code arrives as a bare BaseException.
    except BaseException as error:
        raise RecordingError(
            f"{path} is damaged or truncated: {reason(error)}; copy or record it again"
        ) from error


def dimensions_by_faery(path: Path, **options: Any) -> GridGeometry:
    """The grid that the file's header states.

    Raises:
        RecordingError: faery cannot read the header.
    """
    try:
        width, height = faery.events_stream_from_file(path, **options).dimensions()
    except _OURS_TO_PASS_ON:
        raise
    except BaseException as error:
        raise RecordingError(
            f"{path} has an unreadable header: {reason(error)}; copy or record it again"
        ) from error
    return GridGeometry(width, height)
