"""One packet of events of AEDAT 4: an LZ4 or Zstandard frame, or none, round a FlatBuffer.

A packet is decoded as it is decompressed, piece by piece, so that memory stays bounded whatever
size a packet has, and the events before damage inside of it are kept.
"""

import sys
from collections.abc import Iterator
from typing import Protocol

import lz4.frame
import numpy as np

from retempo.sensors.columns import Columns
from retempo.sensors.files.aedat4_header import EVENTS, BrokenBufferError, root_field, unpack
from retempo.sensors.files.format import reason

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

LZ4_MAGIC = b"\x04\x22\x4d\x18"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "on"],
        "formats": ["<i8", "<u2", "<u2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_PIECE_BYTES = 1 << 20
# The tables come before the events and take some dozen bytes.
_FRONT_BYTES = 4_096
# Zstandard's largest window that a writer of events has reason to ask for.
_WINDOW_LOG = 25


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def decode_packet(payload: Iterator[bytes]) -> Iterator[Columns]:
    """Decode the events of one packet, in pieces of bounded size.

    Args:
        payload: the packet's bytes behind its header, however they are cut.

    Raises:
        BrokenBufferError: the packet is damaged, once the events before the damage are out.
    """
    pieces = inflate(payload)
    front = bytearray()
    for piece in pieces:
        front += piece
        if len(front) >= _FRONT_BYTES:
            break
    start, left = _events_in(bytes(front[: max(_FRONT_BYTES, 64)]))
    held = bytes(front[start:])
    while left:
        ready = min(left, len(held) // _EVENT.itemsize)
        if ready:
            yield _columns(held[: ready * _EVENT.itemsize])
            held, left = held[ready * _EVENT.itemsize :], left - ready
            continue
        piece = next(pieces, b"")
        if not piece:
            raise BrokenBufferError(f"{left} of its events are missing")
        held += piece
    # What follows the events is read to its end, so that a damaged end is told.
    for _ in pieces:
        pass


def inflate(payload: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a frame that fills the payload, in pieces of bounded size; others pass as is.

    Raises:
        BrokenBufferError: the frame is damaged, ends early, or does not fill the payload.
    """
    first = next(payload, b"")
    if first.startswith(LZ4_MAGIC):
        yield from _inflated(lz4.frame.LZ4FrameDecompressor(), first, payload)
    elif first.startswith(ZSTD_MAGIC):
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
        yield from _inflated(zstd.ZstdDecompressor(options=options), first, payload)
    else:
        yield first
        yield from payload


def _inflated(inflater: _Inflater, first: bytes, payload: Iterator[bytes]) -> Iterator[bytes]:
    data = first
    while not inflater.eof:
        try:
            piece = inflater.decompress(data, _PIECE_BYTES)
        except (RuntimeError, zstd.ZstdError, EOFError, ValueError) as error:
            raise BrokenBufferError(reason(error)) from error
        if piece:
            yield piece
        data = b""
        if inflater.needs_input and not inflater.eof:
            data = next(payload, b"")
            if not data:
                raise BrokenBufferError("its frame ends early")
        elif not piece and not inflater.eof:
            raise BrokenBufferError("its frame leads nowhere")
    if inflater.unused_data or next(payload, b""):
        raise BrokenBufferError("its frame ends before it does")


def _events_in(front: bytes) -> tuple[int, int]:
    """Where the events begin in a decompressed packet, and how many there are."""
    if front[8:12] != EVENTS.encode():
        raise BrokenBufferError("it holds no events")
    place = root_field(front, 0)
    if place is None:
        return len(front), 0
    vector = place + unpack("<I", front, place)
    count = unpack("<I", front, vector)
    if vector + 4 + count * _EVENT.itemsize > 4 + unpack("<I", front, 0):
        raise BrokenBufferError(f"it states {count} events, more than it has room for")
    return vector + 4, count


def _columns(data: bytes) -> Columns:
    events = np.frombuffer(data, _EVENT)
    return Columns(
        t_us=events["t"].astype(np.int64),
        x=events["x"].astype(np.uint16),
        y=events["y"].astype(np.uint16),
        on=events["on"].astype(np.bool_),
    )
