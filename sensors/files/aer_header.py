"""The text header of iniVation's `.aedat` files: lines that begin with a hash sign."""

import re
from dataclasses import dataclass
from pathlib import Path

from retempo.sensors.errors import RecordingError
from retempo.sensors.geometry import GridGeometry

# jAER keeps all its preferences in the header; those of a DAVIS fill some hundred KiB.
_MOST_BYTES = 8 << 20
_LAST_LINES = (b"#End Of ASCII Header", b"#!END-HEADER")
_NO_TEXT = re.compile(rb"[\x00-\x08\x0a-\x1f]")
_CHIPS = (
    (re.compile(r"dvs128|tmpdiff128|davis128|davisrgb128", re.IGNORECASE), GridGeometry(128, 128)),
    (re.compile(r"davis240|sbret10|sbret20|sbret21", re.IGNORECASE), GridGeometry(240, 180)),
    (re.compile(r"davis208|pixelparade|sensdavis192", re.IGNORECASE), GridGeometry(208, 192)),
    (re.compile(r"davis346", re.IGNORECASE), GridGeometry(346, 260)),
    (re.compile(r"c?davis(het)?640|dvs640", re.IGNORECASE), GridGeometry(640, 480)),
)


@dataclass(frozen=True, slots=True)
class AerHeader:
    """The lines of a header without their ends, and the number of bytes that it takes."""

    lines: tuple[str, ...]
    size: int

    def value(self, pattern: re.Pattern[str]) -> str | None:
        """The first group of the first line that a pattern matches, None where none does."""
        found = (pattern.match(line) for line in self.lines)
        return next((match[1].strip() for match in found if match), None)


def read_aer_header(path: Path, head: bytes) -> AerHeader:
    """The leading lines of text that begin with a hash sign, up to the line that ends a header.

    Args:
        path: the file.
        head: its first bytes; more are read where the header goes on behind them.

    Raises:
        RecordingError: the file cannot be read.
    """
    lines: list[str] = []
    size = 0
    while head[size : size + 1] == b"#":
        stop = head.find(b"\n", size)
        if stop < 0:
            if len(head) >= _MOST_BYTES or len(longer := _longer(path, len(head))) <= len(head):
                break
            head = longer
            continue
        line = head[size:stop].rstrip(b"\r")
        # An event may begin with a hash sign by chance, but hardly be text up to a line's end.
        if _NO_TEXT.search(line):
            break
        size = stop + 1
        lines.append(line.decode("utf-8", "replace"))
        if line in _LAST_LINES:
            break
        if size == len(head) < _MOST_BYTES:
            head = _longer(path, len(head))
    return AerHeader(tuple(lines), size)


def chip_geometry(name: str) -> GridGeometry | None:
    """The grid of iniVation's chips, by a name in which theirs occurs; None where none does."""
    for pattern, grid in _CHIPS:
        if pattern.search(name):
            return grid
    return None


def _longer(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(min(4 * size, _MOST_BYTES))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
