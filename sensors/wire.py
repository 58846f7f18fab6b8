"""The wire format: event chunks as ZeroMQ messages of two frames, a header and a payload.

`docs/wire-format.md` is the specification. This module is pure: it turns chunks into frames and
frames into chunks, and knows no socket.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import WireError
from retempo.sensors.events import Clock, EventChunk, unread_chunk
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.packet import Packet
from retempo.sensors.pieces import CHANNEL_EVENT_BYTES, GRID_EVENT_BYTES, SPAN_US, split
from retempo.sensors.wire_header import (
    MAX_TIME_US,
    VERSION,
    Buffer,
    Header,
    Kind,
    check_name,
    decode_header,
    geometry_header,
    header_geometry,
)

Frames = list[bytes | memoryview]

_NO_BYTES = np.zeros(0, np.uint8)
_NO_BYTES.flags.writeable = False
_POLARITIES = b"\0\1"
_FEW = 1_024
# Outside of every sensor but one of the most columns, or rows, that there may be.
_FARTHEST = 65_535


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a sender stands in its stream: what its next header says.

    `sequence` numbers the events messages of an `epoch`, the random id of the sender's run.
    `sent` counts the events of the messages before, `lost` those that never reached the sender.
    """

    stream: str
    geometry: Geometry
    epoch: int
    sequence: int = 0
    sent: int = 0
    lost: int = 0
    clock: Clock = "sensor"

    def after(self, piece: EventChunk) -> "Cursor":
        """Return the cursor behind an events message."""
        return replace(
            self,
            sequence=self.sequence + 1,
            sent=self.sent + len(piece),
            lost=self.lost + piece.lost,
        )


class Message(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A decoded message. The chunk of `open` and `end` holds no events, only the watermark.

    `lost` counts since the epoch began, so the chunk's own `lost` is 0: only who remembers the
    message before can tell the difference.
    """

    kind: Kind
    stream: str
    geometry: Geometry
    epoch: int
    sequence: int
    sent: int
    lost: int
    clock: Clock
    chunk: EventChunk


def encode(chunk: EventChunk, at: Cursor) -> Iterator[Frames]:
    """Yield the events messages of a chunk: one, unless it is too large or spans too long.

    Raises:
        WireError: as `encode_message`.
    """
    for piece in split(chunk):
        yield encode_message("events", piece, at)
        at = at.after(piece)


def encode_message(kind: Kind, piece: EventChunk, at: Cursor) -> Frames:
    """Return the two frames of one message.

    Raises:
        WireError: the piece is not of the cursor's geometry, spans more than `SPAN_US` or lies
            beyond `MAX_TIME_US`, or the stream's name is refused by `check_name`.
    """
    if isinstance(at.geometry, GridGeometry) != (piece.channel is None):
        raise WireError(f"a chunk of {at.stream!r} does not have the columns of {at.geometry}")
    check_name(at.stream)
    count = len(piece)
    t_start_us = int(piece.t_us.min()) if count else piece.t_end_us
    t_last_us = int(piece.t_us.max()) if count else piece.t_end_us
    if t_last_us - t_start_us > SPAN_US:
        raise WireError(f"a message spans at most {SPAN_US} us, got {t_last_us - t_start_us}")
    for t_us in (t_start_us, piece.t_end_us):
        if abs(t_us) > MAX_TIME_US:
            raise WireError(f"times lie within 2^61 us of zero, got {t_us}")
    header = Header(
        v=VERSION,
        kind=kind,
        stream=at.stream,
        epoch=at.epoch,
        sequence=at.sequence,
        geometry=geometry_header(at.geometry),
        count=count,
        t_start_us=t_start_us,
        t_end_us=piece.t_end_us,
        sent=at.sent,
        lost=at.lost + piece.lost,
        clock=at.clock,
    )
    try:
        return [msgspec.msgpack.encode(header), _payload(piece, t_start_us)]
    except UnicodeError as error:
        raise WireError(f"a stream's name is Unicode text, got {at.stream!r}") from error


def decode(frames: Sequence[Buffer]) -> Message:
    """Read and check one message; nothing is allocated by the word of an unchecked header.

    The chunk is unread, see `sensors.events.unread_chunk`; its columns are views of the payload (of
    a copy, should that start at an odd address), but for the times. Addresses outside the geometry
    pass: the binning counts them. So that it counts an event whose polarity is neither 0 nor 1 with
    them, that one is moved outside, in a copy of the payload.

    Raises:
        WireError: the frames break the specification; no other error leaves this function.
    """
    if len(frames) != 2:
        raise WireError(f"a message has 2 frames, header and payload; got {len(frames)}")
    header = decode_header(frames[0])
    geometry = header_geometry(header.geometry)
    grid, count = isinstance(geometry, GridGeometry), header.count
    payload = memoryview(frames[1])
    size = GRID_EVENT_BYTES if grid else CHANNEL_EVENT_BYTES
    if count * size != payload.nbytes:
        raise WireError(
            f"the header counts {count} events of {size} bytes, "
            f"the payload has {payload.nbytes} bytes"
        )
    if count and header.kind != "events":
        raise WireError(f"a message of kind {header.kind} carries no events, got {count}")
    raw = np.frombuffer(payload.toreadonly(), np.uint8) if count else _NO_BYTES
    if grid and count:
        # For a few events a look at the array takes longer than to strike out all that is right.
        polarities = raw[6 * count :]
        few = count <= _FEW
        if polarities.tobytes().translate(None, _POLARITIES) if few else polarities.max() > 1:
            raw = _without_polarity(raw, count, geometry)
    packet = Packet(raw, count, header.t_start_us, grid)
    return Message(
        header.kind,
        header.stream,
        geometry,
        header.epoch,
        header.sequence,
        header.sent,
        header.lost,
        header.clock,
        unread_chunk(packet, header.t_end_us, header.stream, header.sequence),
    )


def _without_polarity(raw: NDArray[np.uint8], count: int, geometry: Geometry) -> NDArray[np.uint8]:
    """Return a payload whose events of an impossible polarity lie outside the sensor."""
    assert isinstance(geometry, GridGeometry)  # noqa: S101  (no other has polarities)
    sides = geometry.width, geometry.height
    if min(sides) > _FARTHEST:
        raise WireError(
            f"a polarity is 0 or 1, got {raw[6 * count :].max()}; a sensor of "
            f"{sides[0]} x {sides[1]} has no place for such an event to be told by"
        )
    moved = raw.copy()
    polarities, word = moved[6 * count :], 1 if sides[0] <= _FARTHEST else 2
    bad = polarities > 1
    moved[2 * word * count : 2 * (word + 1) * count].view("<u2")[bad] = _FARTHEST
    polarities[bad] = 0
    moved.flags.writeable = False
    return moved


def _payload(piece: EventChunk, t_start_us: int) -> bytes | memoryview:
    n = len(piece)
    if not n:
        return b""
    times = piece.t_us - t_start_us
    if piece.channel is not None:
        return _joined([times, piece.channel], CHANNEL_EVENT_BYTES * n)
    return _joined([times, piece.x, piece.y, piece.on], GRID_EVENT_BYTES * n)


def _joined(columns: Sequence[NDArray[np.generic] | None], size: int) -> memoryview:
    raw = np.empty(size, np.uint8)
    place = 0
    for column in columns:
        assert column is not None  # noqa: S101  (EventChunk has checked it)
        kind = np.dtype("u1" if column.dtype == np.bool_ else "<u2")
        end = place + len(column) * kind.itemsize
        raw[place:end].view(kind)[:] = column
        place = end
    return raw.data
