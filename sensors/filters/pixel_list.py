"""Lists of pixels or channels to switch off: a text of a line each, or a mask of NumPy."""

import re
from pathlib import Path

import numpy as np

from retempo.sensors.errors import FilterError

Pixels = tuple[tuple[int, ...], ...]
_MOST_BYTES = 1 << 26


def read_pixels(path: Path) -> Pixels:
    """Read a list: `x y`, or `x,y`, or a channel a line, `#` begins a comment; or a mask.

    A mask is a `.npy` of bool, `(height, width)` or `(channels,)`, True at what to switch off.

    Raises:
        FilterError: the file is missing, or is neither.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FilterError(f"{path} is larger than any list of pixels; expected {_MOST_BYTES} B")
        if path.suffix == ".npy":
            return _of_mask(path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FilterError(f"cannot read the list of pixels {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FilterError(f"{path} is no text; write a line of x y for each pixel") from error
    pixels: list[tuple[int, ...]] = []
    for number, line in enumerate(text.splitlines(), 1):
        numbers = re.split(r"[\s,;]+", line.partition("#")[0].strip())
        if numbers == [""]:
            continue
        if len(numbers) > 2 or not all(re.fullmatch(r"[0-9]{1,5}", each) for each in numbers):
            raise FilterError(
                f"{path} line {number} is {line.strip()[:40]!r}, expected x y of a pixel, or a "
                "channel"
            )
        pixels.append(tuple(int(each) for each in numbers))
    return tuple(pixels)


def write_pixels(path: Path, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    """Write the places where a mask is True as a text that `read_pixels` takes.

    Raises:
        OSError: the file cannot be written.
    """
    lines = [" ".join(str(int(side)) for side in place[::-1]) for place in np.argwhere(mask)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _of_mask(path: Path) -> Pixels:
    try:
        mask = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FilterError(f"{path} is no NumPy array: {error}") from error
    if mask.dtype != np.bool_ or mask.ndim not in (1, 2):
        raise FilterError(
            f"{path} holds {mask.dtype} of shape {mask.shape}, expected a mask of bool, "
            "(height, width) or (channels,)"
        )
    return tuple(tuple(int(side) for side in place[::-1]) for place in np.argwhere(mask))
