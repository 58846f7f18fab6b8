"""Encoders of binary event formats, from their published layouts, that share no code with ours."""

import struct
from collections.abc import Iterable
from itertools import pairwise

from retempo.sensors.byte_decoder import ByteDecoder, decode_pieces
from retempo.sensors.columns import AnyColumns, arrays_of, join

Event = tuple[int, int, int, bool]

AEDAT3_HEADER = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2016-04-01 10:00:00 (TZ+0200)\r\n#!END-HEADER\r\n"
)


def aedat2(records: Iterable[tuple[int, int]], chip: str = "") -> bytes:
    """A jAER file of (address, time) records."""
    lines = [b"#!AER-DAT2.0", b"# This is a raw AE data file - do not edit"]
    if chip:
        lines += [b"# AEChip: " + chip.encode(), b"#End Of ASCII Header"]
    body = b"".join(struct.pack(">II", address, time) for address, time in records)
    return b"".join(line + b"\r\n" for line in lines) + body


def dvs128(x: int, y: int, on: bool) -> int:
    return (y << 8) | (x << 1) | (not on)


def davis(x: int, y: int, on: bool) -> int:
    return (y << 22) | (x << 12) | (on << 11)


def polarity(event: Event, valid: bool = True) -> bytes:
    t_us, x, y, on = event
    return struct.pack("<II", (x << 17) | (y << 2) | (on << 1) | valid, t_us)


def packet(
    events: list[bytes], kind: int = 1, overflow: int = 0, source: int = 1, time_offset: int = 4
) -> bytes:
    """A cAER packet of events that all have the size of the first, or of eight bytes."""
    size, number = len(events[0]) if events else 8, len(events)
    head = (kind, source, size, time_offset, overflow, number, number, number)
    return struct.pack("<hhiiiiii", *head) + b"".join(events)


def nas(spikes: Iterable[tuple[int, int]]) -> bytes:
    """A headerless file of (address, ticks)."""
    return b"".join(struct.pack(">HI", address, ticks) for address, ticks in spikes)


def dat(records: Iterable[tuple[int, int, int, int]], header: bytes = b"% Version 2\n") -> bytes:
    """A DAT file of (time, x, y, polarity) of version 2."""
    words = (struct.pack("<II", t, (p << 28) | (y << 14) | x) for t, x, y, p in records)
    return header + b"\x0c\x08" + b"".join(words)


def decoded(decoder: ByteDecoder[object], pieces: list[bytes]) -> tuple[object, ...]:
    """All columns as lists, and the counts and the place of what was wrong, for comparisons."""
    columns: AnyColumns = join(list(decode_pieces(decoder, pieces)))
    found = columns.problems
    lists = tuple(column.tolist() for column in arrays_of(columns).values())
    return (*lists, dict(found.counts), found.kind, found.text, found.kept)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data cut at places, of which those beyond it fall together with its end."""
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def aedat4_stream(number: int, holds: str = "EVTS", size: tuple[int, int] | None = (34, 34)) -> str:
    sides = (
        ""
        if size is None
        else (
            f'<attr key="sizeX" type="int">{size[0]}</attr>'
            f'<attr key="sizeY" type="int">{size[1]}</attr>'
        )
    )
    return (
        f'<node name="{number}" path="/{number}/">'
        f'<attr key="typeIdentifier" type="string">{holds}</attr>'
        f'<node name="info" path="/{number}/info/">{sides}</node></node>'
    )


def aedat4_header(streams: list[str], table_at: int = -1, compression: int = 0) -> bytes:
    """The signature and the header of an AEDAT 4 file; the FlatBuffer is laid out by hand."""
    text = f'<dv version="2.0"><node name="outInfo">{"".join(streams)}</node></dv>'.encode()
    # From byte 4 on: root, identifier, vtable (5 x u16 and padding), table (4 fields), string.
    table = struct.pack("<iiqI", 12, compression, table_at, 4)
    body = struct.pack("<I4s5HH", 20, b"IOHE", 10, 20, 4, 8, 16, 0) + table
    body += struct.pack("<I", len(text)) + text + b"\0"
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(body)) + body


def aedat4_events(events: list[Event], identifier: bytes = b"EVTS") -> bytes:
    """The FlatBuffer of a packet of events, laid out by hand."""
    packed = b"".join(struct.pack("<qHH?3x", t, x, y, on) for t, x, y, on in events)
    body = struct.pack("<I4s4HiII", 16, identifier, 6, 8, 4, 0, 8, 4, len(events)) + packed
    return struct.pack("<I", len(body)) + body


def aedat4_packet(content: bytes, stream: int = 0) -> bytes:
    return struct.pack("<ii", stream, len(content)) + content
