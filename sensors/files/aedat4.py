"""AEDAT 4 (`.aedat4`), the container of iniVation's DV software; its first event track is read.

Behind the header come packets: the number of a stream, a size, and a frame of that size. A packet
whose size or frame does not hold is one damaged part: the events before the damage are kept, and
reading goes on at the next bytes that can be a packet. A note tells of further event tracks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from retempo.sensors.columns import Columns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.aedat4_header import (
    EVENTS,
    SIGNATURE,
    Aedat4Header,
    BrokenBufferError,
    Stream,
    read_aedat4_header,
)
from retempo.sensors.files.aedat4_packet import LZ4_MAGIC, ZSTD_MAGIC, decode_packet
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.aedat4 import write_aedat4
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import problem

_HEADER_BYTES = 8
# A packet's header, and as much of its content as tells that it is one.
_LOOK_BYTES = _HEADER_BYTES + 12
_PIECE_BYTES = 1 << 20
# A frame begins right behind the header, the identifier of a bare FlatBuffer 8 bytes later.
_LANDMARK = re.compile(
    b"(?P<frame>" + re.escape(LZ4_MAGIC) + b"|" + re.escape(ZSTD_MAGIC) + b")|EVTS|FRME|IMUS|TRIG"
)


@dataclass(frozen=True, slots=True)
class _Packet:
    """Whose a packet is, and where its content ends as its header states."""

    stream: int
    end: int


def decode_aedat4(path: Path, header: Aedat4Header, stream: int) -> Iterator[Columns]:
    """The events of one stream, piece by piece.

    Raises:
        RecordingError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _walk(file, path.stat().st_size, header, stream)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


def _walk(file: BinaryIO, size: int, header: Aedat4Header, stream: int) -> Iterator[Columns]:
    known = frozenset(each.number for each in header.streams)
    at = header.size
    while at < size and at != header.table_at:
        packet = _packet_at(file, at, known)
        if packet is None:
            found = _next_packet(file, at + 1, known)
            yield _no_packet(at, size if found is None else found, size)
            at = size if found is None else found
            continue
        end, wrong = packet.end, ""
        ends_well = end in (size, header.table_at) or size - end < _LOOK_BYTES
        if end > size or not (ends_well or _packet_at(file, end, known)):
            found = _next_packet(file, at + _HEADER_BYTES, known)
            # Where the next packet lies further on, its own header is what is wrong.
            if found is not None and found < end:
                end, wrong = found, "it does not have the size that it states"
        if packet.stream == stream:
            try:
                yield from decode_packet(_payload(file, at + _HEADER_BYTES, min(end, size)))
            except BrokenBufferError as error:
                wrong = wrong or str(error)
        if end > size:
            yield no_events(
                problem("truncated", f"it ends {end - size} bytes before the end of a packet", 0)
            )
        elif wrong:
            text = f"the packet at byte {at} cannot be decoded to its end: {wrong}"
            yield no_events(problem("damaged", text, kept=0))
        at = end
    if at == size < header.table_at:
        yield no_events(problem("truncated", "it ends before the table of its packets", kept=0))


def _packet_at(file: BinaryIO, at: int, streams: frozenset[int]) -> _Packet | None:
    """The packet that begins at a byte, None where none can begin there."""
    file.seek(at)
    return _packet(file.read(_LOOK_BYTES), at, streams)


def _packet(look: bytes, at: int, streams: frozenset[int]) -> _Packet | None:
    if len(look) < _LOOK_BYTES:
        return None
    stream, size = (int.from_bytes(look[k : k + 4], "little") for k in (0, 4))
    content = look[_HEADER_BYTES:]
    bare = int.from_bytes(content[:4], "little") + 4 == size and _LANDMARK.match(content, 8)
    if stream not in streams or not (content.startswith((LZ4_MAGIC, ZSTD_MAGIC)) or bare):
        return None
    return _Packet(stream, at + _HEADER_BYTES + size)


def _next_packet(file: BinaryIO, at: int, streams: frozenset[int]) -> int | None:
    """The first byte from `at` on where a packet can begin, None where there is none."""
    file.seek(at)
    data = b""
    while piece := file.read(_PIECE_BYTES):
        data += piece
        for mark in _LANDMARK.finditer(data):
            start = mark.start() - (_HEADER_BYTES if mark["frame"] else _HEADER_BYTES + 8)
            if start >= 0 and _packet(data[start : start + _LOOK_BYTES], at + start, streams):
                return at + start
        kept = data[-2 * _LOOK_BYTES :]
        at, data = at + len(data) - len(kept), kept
    return None


def _payload(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (piece := file.read(min(_PIECE_BYTES, end - start))):
        start += len(piece)
        yield piece


def _no_packet(at: int, end: int, size: int) -> Columns:
    if end - at < _LOOK_BYTES and end == size:
        return no_events(
            problem("truncated", f"it ends {size - at} bytes after a packet began", kept=0)
        )
    text = f"no packet begins at byte {at}, and none in the {end - at} bytes from there"
    return no_events(problem("damaged", text, kept=0))


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(SIGNATURE)


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    if not _sniff(head, path):
        raise RecordingError(
            f"{path} begins with {head[:14]!r}, expected '#!AER-DAT4.0'; rename it after what it is"
        )
    header = read_aedat4_header(path)
    tracks = [stream for stream in header.streams if stream.holds == EVENTS]
    if not tracks:
        others = ", ".join(stream.holds for stream in header.streams)
        raise RecordingError(
            f"{path} has no event track (its streams hold {others or 'nothing'}); record one"
        )
    grid = geometry or tracks[0].geometry
    if grid is None:
        raise RecordingError(f"{path} states no sensor size for its events; give its geometry")
    decode = partial(decode_aedat4, path, header, tracks[0].number)
    return Opened(grid, decode, notes=_notes(tracks))


def _notes(tracks: list[Stream]) -> tuple[str, ...]:
    if len(tracks) == 1:
        return ()
    numbers = ", ".join(str(track.number) for track in tracks)
    return (f"holds {len(tracks)} event tracks (streams {numbers}); the first is read",)


FORMAT = Format("AEDAT4", (".aedat4",), _sniff, of_grid(_open), write_aedat4)
