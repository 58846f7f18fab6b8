"""AEDAT 3.1 (`.aedat`), as cAER and libcaer write it: lines of text, then packets, little-endian.

A packet is a header of 28 bytes (type i16, source i16, then i32: size of an event, offset of its
time, time overflows, capacity, number of events, number of valid events) and its events. Polarity
events (type 1) are read: a u32 with validity in bit 0, polarity in bit 1, y in bits 2 to 16 and x
in bits 17 to 31, from the upper left; then the time in us, an i32 below the packet's overflows of
2^31 us. Packets of other types, of other sources than the first, and events that their writer has
marked as invalid are passed over: nothing is wrong with them.

Where a header does not hold, the bytes up to the next packet of polarity or special events are
passed over, and counted as one damaged part.
"""

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retempo.sensors.byte_decoder import Buffer, ByteDecoder, decode_file
from retempo.sensors.columns import Columns, join, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.aer_header import AerHeader, chip_geometry, read_aer_header
from retempo.sensors.files.fixed_records import drop_and_count
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import Problems, problem

HEADER = np.dtype(
    [
        ("type", "<i2"),
        ("source", "<i2"),
        ("event_bytes", "<i4"),
        ("time_offset", "<i4"),
        ("overflow", "<i4"),
        ("capacity", "<i4"),
        ("number", "<i4"),
        ("valid", "<i4"),
    ]
)
POLARITY = 1

_HEADER_BYTES = HEADER.itemsize
_EVENT_BYTES = 8
_OVERFLOW_BITS = 31
# The size and the time's offset of polarity and special events, by which a lost reader finds one.
_LANDMARK = bytes([8, 0, 0, 0, 4, 0, 0, 0])
_LANDMARK_AT = 4
_LANDMARK_TYPES = (0, 1)
# Those that libcaer knows.
_TYPES = 14
# A frame of 4k in colour with 16 bits a channel has 50 MB.
_MOST_PACKET_BYTES = 1 << 28
_SOURCE = re.compile(r"#Source +(\d{1,5}): *(.+)", re.IGNORECASE)
_FORMAT = re.compile(r"#Format: *(.+)", re.IGNORECASE)


class _Header(NamedTuple):
    type: int
    source: int
    event_bytes: int
    time_offset: int
    overflow: int
    capacity: int
    number: int
    valid: int

    def holds(self, sources: frozenset[int]) -> bool:
        """Whether a packet may begin like this in a file of these sources, of any if empty."""
        if self.type in _LANDMARK_TYPES:
            sizes = (self.event_bytes, self.time_offset) == (_EVENT_BYTES, 4)
        else:
            sizes = 0 <= self.type < _TYPES and 0 <= self.time_offset < self.event_bytes
        return (
            sizes
            and (self.source in sources if sources else self.source >= 0)
            and self.overflow >= 0
            and 0 <= self.valid <= self.number <= self.capacity
            and self.event_bytes * self.number <= _MOST_PACKET_BYTES
        )


@dataclass(frozen=True, slots=True)
class _State:
    """Where a reader stands.

    `rest` are bytes that were not decoded yet, `offset` how many came before them, `left` how many
    bytes the begun packet still has, `reads` whether its events are wanted. `lost` means that no
    header is found since the last one that did not hold.
    """

    rest: bytes = b""
    offset: int = 0
    left: int = 0
    reads: bool = False
    overflow: int = 0
    source: int | None = None
    lost: bool = False


def aedat3_decoder(sources: frozenset[int] = frozenset()) -> ByteDecoder[_State]:
    """A decoder of the packets behind the text header, which names these sources."""
    return ByteDecoder(_State, partial(_feed, sources), _finish)


def decode_polarity(data: bytes, overflow: int) -> Columns:
    """The valid events in `data`, whose length must be a multiple of eight.

    Args:
        data: the events of a packet, or some of them.
        overflow: how often the time of 31 bits has overflown before this packet.
    """
    words = np.frombuffer(data, "<u4").reshape(-1, 2)
    words = words[(words[:, 0] & 1) == 1]
    address, time = words[:, 0], words[:, 1]
    columns = Columns(
        t_us=time.astype(np.int64) + (overflow << _OVERFLOW_BITS),
        x=(address >> 17).astype(np.uint16),
        y=((address >> 2) & 0x7FFF).astype(np.uint16),
        on=((address >> 1) & 1).astype(np.bool_),
    )
    return drop_and_count(
        columns,
        time >> _OVERFLOW_BITS != 0,
        "damaged",
        "an event has a time below zero, which reads as {t} us",
    )


def _feed(sources: frozenset[int], state: _State, data: Buffer) -> tuple[_State, Columns]:
    ready = state.rest + bytes(data)
    pieces: list[Columns] = []
    at = 0
    while True:
        if state.lost:
            at, found = _next_packet(ready, at, sources)
            state = replace(state, lost=not found)
            if not found:
                break
        if state.left == 0:
            if len(ready) - at < _HEADER_BYTES:
                break
            header = _header(ready, at)
            if not header.holds(sources):
                pieces.append(no_events(_lost_at(state.offset + at)))
                state = replace(state, lost=True)
                at += 1
                continue
            at += _HEADER_BYTES
            state = _entered(state, header)
        size = min(state.left, len(ready) - at)
        if state.reads:
            size -= size % _EVENT_BYTES
            if size:
                pieces.append(decode_polarity(ready[at : at + size], state.overflow))
        at += size
        state = replace(state, left=state.left - size)
        if state.left:
            break
    state = replace(state, rest=ready[at:], offset=state.offset + at)
    return state, join(pieces) if pieces else no_events()


def _entered(state: _State, header: _Header) -> _State:
    source = state.source
    if header.type == POLARITY and source is None:
        source = header.source
    return replace(
        state,
        left=header.event_bytes * header.number,
        reads=header.type == POLARITY and header.source == source,
        overflow=header.overflow,
        source=source,
    )


def _finish(state: _State) -> Columns:
    if state.left:
        missing = state.left - len(state.rest)
        return no_events(
            problem("truncated", f"it ends {missing} bytes before the end of a packet", kept=0)
        )
    if state.rest and not state.lost:
        text = f"it ends {len(state.rest)} bytes into a packet's header of {_HEADER_BYTES}"
        return no_events(problem("truncated", text, kept=0))
    return no_events()


def _lost_at(offset: int) -> Problems:
    text = f"the packet {offset} bytes behind the header does not begin as one"
    return problem("damaged", text, kept=0)


def _header(data: bytes, at: int) -> _Header:
    return _Header(*np.frombuffer(data, HEADER, 1, at)[0].item())


def _next_packet(data: bytes, at: int, sources: frozenset[int]) -> tuple[int, bool]:
    """Where the next packet of polarity or special events begins, else where to look on later."""
    while (mark := data.find(_LANDMARK, at + _LANDMARK_AT)) >= 0:
        start = mark - _LANDMARK_AT
        if len(data) - start < _HEADER_BYTES:
            return start, False
        header = _header(data, start)
        if header.type in _LANDMARK_TYPES and header.holds(sources):
            return start, True
        at = start + 1
    return max(at, len(data) - _HEADER_BYTES + 1), False


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"#!AER-DAT3.1")


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    header = read_aer_header(path, head)
    stored = header.value(_FORMAT)
    if stored is not None and stored.upper() != "RAW":
        raise RecordingError(
            f"{path} holds packets of the format {stored}, expected RAW; write it again without "
            "compression"
        )
    sources = _sources(header)
    names = ", ".join(sources.values())
    grid = geometry or next((grid for grid in map(chip_geometry, sources.values()) if grid), None)
    if grid is None:
        raise RecordingError(
            f"{path} comes from {names or 'a source that it does not name'}, whose size is not "
            "known; give its geometry, as in --geometry 346x260"
        )
    several = (f"holds {len(sources)} sources ({names}); the first with events is read",)
    return Opened(
        grid,
        partial(decode_file, path, aedat3_decoder(frozenset(sources)), header.size),
        notes=several if len(sources) > 1 else (),
    )


def _sources(header: AerHeader) -> dict[int, str]:
    """The names of the sources by their numbers; those of an earlier file stand behind a minus."""
    found = (_SOURCE.match(line) for line in header.lines)
    return {int(match[1]): match[2].strip() for match in found if match}


FORMAT = Format("AEDAT3", (".aedat",), _sniff, of_grid(_open))
