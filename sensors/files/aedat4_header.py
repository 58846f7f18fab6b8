"""The header of AEDAT 4: a FlatBuffer with an XML text that lists the file's streams."""

import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import reason
from retempo.sensors.geometry import GridGeometry

SIGNATURE = b"#!AER-DAT4.0\r\n"
EVENTS = "EVTS"

_MOST_BYTES = 16 << 20
# The fields of the header's table, by their order in its schema.
_TABLE_AT, _INFO = 1, 2


@dataclass(frozen=True, slots=True)
class Stream:
    """What the header says of one stream: its number, what it holds, and its size if stated."""

    number: int
    holds: str
    geometry: GridGeometry | None


@dataclass(frozen=True, slots=True)
class Aedat4Header:
    """The streams, where the packets begin, and where they end: -1 if that is not stated."""

    streams: tuple[Stream, ...]
    size: int
    table_at: int


class BrokenBufferError(Exception):
    """Bytes are no FlatBuffer of the kind expected; its text is one clause."""


def read_aedat4_header(path: Path) -> Aedat4Header:
    """Read the header of a file that begins with the signature.

    Raises:
        RecordingError: the header is truncated, or no header of AEDAT 4.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE) + 4)
            size = int.from_bytes(start[len(SIGNATURE) :], "little")
            if len(start) < len(SIGNATURE) + 4 or size > _MOST_BYTES:
                raise BrokenBufferError("its length is missing or beyond all measure")
            data = start[-4:] + file.read(size)
        if len(data) < size + 4:
            raise BrokenBufferError(f"it ends {size + 4 - len(data)} bytes early")
        place = root_field(data, _INFO)
        streams = _streams(_text(data, place)) if place is not None else ()
        place = root_field(data, _TABLE_AT)
        table_at = -1 if place is None else unpack("<q", data, place)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except (BrokenBufferError, ET.ParseError, ValueError) as error:
        raise RecordingError(
            f"{path} has an unreadable header: {reason(error)}; copy or record it again"
        ) from error
    return Aedat4Header(streams, len(SIGNATURE) + len(data), table_at)


def root_field(data: bytes, index: int) -> int | None:
    """Where a field of the root table of a size-prefixed FlatBuffer lies, None where it is absent.

    Raises:
        BrokenBufferError: an offset leads out of the buffer.
    """
    table = 4 + unpack("<I", data, 4)
    entries = table - unpack("<i", data, table)
    entry = 4 + 2 * index
    if entry + 2 > unpack("<H", data, entries):
        return None
    offset = unpack("<H", data, entries + entry)
    return table + offset if offset else None


def unpack(code: str, data: bytes, at: int) -> int:
    """Unpack one number.

    Raises:
        BrokenBufferError: it lies outside the buffer.
    """
    if not 0 <= at <= len(data) - struct.calcsize(code):
        raise BrokenBufferError("an offset leads out of it")
    number: int = struct.unpack_from(code, data, at)[0]
    return number


def _text(data: bytes, place: int) -> str:
    start = place + unpack("<I", data, place)
    size = unpack("<I", data, start)
    if start + 4 + size > len(data):
        raise BrokenBufferError("its text ends early")
    return data[start + 4 : start + 4 + size].decode("utf-8", "replace")


def _streams(text: str) -> tuple[Stream, ...]:
    # No writer declares entities, by which a small text could grow without bounds.
    if "<!" in text:
        raise BrokenBufferError("its text has a declaration")
    root = ET.fromstring(text)  # noqa: S314  (see above)
    outputs = root.findall("./node[@name='outInfo']/node")
    return tuple(_stream(node) for node in outputs)


def _stream(node: ET.Element) -> Stream:
    name, holds = node.get("name", ""), _attribute(node, "typeIdentifier")
    if not name.isdecimal() or len(name) > 9 or holds is None:
        raise BrokenBufferError(f"stream {name!r} has no number or no type")
    info = node.find("./node[@name='info']")
    sides = [None if info is None else _attribute(info, key) for key in ("sizeX", "sizeY")]
    stated = [int(side) for side in sides if side is not None and side.isdecimal()]
    return Stream(int(name), holds, GridGeometry(*stated) if len(stated) == 2 else None)


def _attribute(node: ET.Element, key: str) -> str | None:
    found = node.find(f"./attr[@key='{key}']")
    return None if found is None or found.text is None else found.text.strip()
