"""Frames as an H.264 film, by the encoder that faery carries."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retempo.view.colours import Image
from retempo.view.errors import ViewError

# A picture of a small sensor is magnified to about this, or its colours would blur: H.264 as every
# player knows it has one colour for four pixels.
_WIDE, _TALL = 960, 720
_FOOT = 32
_TEXT: tuple[int, int, int, int] = (200, 206, 218, 255)
_FOOT_COLOUR = (34, 40, 54)
_QUALITY = 18.0


def magnified(width: int, height: int) -> int:
    """Return by how much a frame of this size is magnified."""
    return max(1, min(_WIDE // width, _TALL // height))


def write_mp4(
    path: Path, frames: Iterator[tuple[Image, str]], size: tuple[int, int], fps: float
) -> int:
    """Write frames, each with a line of text below it, and return how many there were.

    The file is written beside its place and moved there when it is whole.

    Args:
        path: where to.
        frames: images of shape `(height, width, 3)` and their lines.
        size: their width and height.
        fps: frames a second.

    Raises:
        ViewError: the file cannot be written.
        SensorError: whatever the frames raise.
    """
    from faery.extension import image as annotator
    from faery.extension import mp4

    width, height = size
    zoom = magnified(width, height)
    # An even number of pixels, as the encoder needs.
    wide, tall = (side * zoom + side * zoom % 2 for side in size)
    canvas = np.empty((tall + _FOOT, wide, 4), np.uint8)
    canvas[..., :3], canvas[..., 3] = _FOOT_COLOUR, 255
    written = 0
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".mp4")
        os.close(handle)
    except OSError as error:
        raise ViewError(f"cannot write {path}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with mp4.Encoder(
            temporary, (wide, tall + _FOOT), fps, _QUALITY, "fast", "none", "high"
        ) as encoder:
            for frame, text in frames:
                large = frame if zoom == 1 else frame.repeat(zoom, axis=0).repeat(zoom, axis=1)
                canvas[: height * zoom, : width * zoom, :3] = large
                canvas[tall:, :, :3] = _FOOT_COLOUR
                annotator.annotate(canvas, text, 10, tall + 5, 20, _TEXT)
                encoder.write(canvas)
                written += 1
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise ViewError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return written
