"""The header of Prophesee's files: lines that begin with a percent sign."""

import re
from dataclasses import dataclass

from retempo.sensors.geometry import GridGeometry

_WIDTH_HEIGHT = (
    re.compile(r"^% *geometry +(\d{1,9})x(\d{1,9})", re.IGNORECASE | re.MULTILINE),
    re.compile(
        r"^% *format +EVT\S*;width=(\d{1,9});height=(\d{1,9})", re.IGNORECASE | re.MULTILINE
    ),
    re.compile(
        r"^% *width +(\d{1,9})$[\s\S]*?^% *height +(\d{1,9})$", re.IGNORECASE | re.MULTILINE
    ),
)
_HEIGHT_WIDTH = (
    re.compile(
        r"^% *format +EVT\S*;height=(\d{1,9});width=(\d{1,9})", re.IGNORECASE | re.MULTILINE
    ),
    re.compile(
        r"^% *height +(\d{1,9})$[\s\S]*?^% *width +(\d{1,9})$", re.IGNORECASE | re.MULTILINE
    ),
)


@dataclass(frozen=True, slots=True)
class PercentHeader:
    """The text of a header and the number of bytes that it takes."""

    text: str
    size: int


def read_percent_header(head: bytes) -> PercentHeader:
    """The leading lines that begin with a percent sign, up to `% end` where there is one."""
    size = 0
    while head[size : size + 1] == b"%":
        stop = head.find(b"\n", size)
        if stop < 0:
            break
        line = head[size:stop].strip()
        size = stop + 1
        if line == b"% end":
            break
    text = head[:size].decode("ascii", "replace").replace("\r\n", "\n")
    return PercentHeader(text, size)


def stated_geometry(header: PercentHeader) -> GridGeometry | None:
    """The grid that the header states, if any."""
    for pattern in _WIDTH_HEIGHT:
        found = pattern.search(header.text)
        if found:
            return GridGeometry(int(found[1]), int(found[2]))
    for pattern in _HEIGHT_WIDTH:
        found = pattern.search(header.text)
        if found:
            return GridGeometry(int(found[2]), int(found[1]))
    return None
