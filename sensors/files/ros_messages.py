"""Messages of events as ROS 1 and ROS 2 serialise them, decoded column by column.

`EventArray` of dvs_msgs and prophesee_event_msgs: header, height, width, and events of x, y, time
and polarity. `EventPacket` of event_camera_msgs: header, height, width, a sequence number, a base
for the times, the name of an encoding, and bytes. ROS 1 packs fields without gaps; ROS 2 (CDR)
aligns each to its own size and says its byte order first.

Source: the message definitions and the read-me of event_camera_msgs and event_camera_codecs.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns
from retempo.sensors.files.table_values import events_of
from retempo.sensors.problems import both, problem

_ENCAPSULATION_BYTES = 4
_EVENT_BYTES = 13
# An event in CDR takes 16 bytes: its time is aligned to four.
_STRIDE = 16
_WORD_BYTES = 8
_LATEST_NS = 1 << 63
_CAER_WRAP_NS = (1 << 31) * 1_000


class MessageError(ValueError):
    """A message breaks its definition; its text says how."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of events: `encoding` is empty for an array of them, else that of a packet."""

    width: int
    height: int
    encoding: str
    count: int
    base_ns: int
    order: str
    body: bytes
    aligned: bool


class _Cursor:
    """The fields of a serialised message, one after the other."""

    def __init__(self, data: bytes, aligned: bool) -> None:
        self.aligned = aligned
        self.order = ">" if aligned and len(data) > 1 and data[1] == 0 else "<"
        self.data = data[_ENCAPSULATION_BYTES:] if aligned else data
        self.at = 0

    def number(self, size: int) -> int:
        self.at += -self.at % size if self.aligned else 0
        return int.from_bytes(self.bytes(size), "big" if self.order == ">" else "little")

    def bytes(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise MessageError(f"it ends {size - len(self.data) + self.at} bytes early")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        return self.bytes(self.number(4)).rstrip(b"\0").decode("ascii", "replace")


def read_message(data: bytes, packet: bool, aligned: bool) -> Message:
    """Read a message up to its events.

    Args:
        data: the message as stored.
        packet: whether it is an EventPacket.
        aligned: whether it is of ROS 2.

    Raises:
        MessageError: it ends early.
    """
    cursor = _Cursor(data, aligned)
    # The sequence number of ROS 1, the stamp, and the name of the frame.
    for _ in range(2 if aligned else 3):
        cursor.number(4)
    cursor.text()
    height, width = cursor.number(4), cursor.number(4)
    encoding, base_ns, order = "", 0, cursor.order
    if packet:
        cursor.number(8)
        base_ns, encoding = cursor.number(8), cursor.text()
        order = ">" if cursor.number(1) else "<"
    count = cursor.number(4)
    body = cursor.data[cursor.at :]
    return Message(width, height, encoding, count, base_ns, order, body, aligned)


def decode_array(message: Message) -> AnyColumns:
    """Return the events of an EventArray; those that the message lacks are counted."""
    body, order = message.body, message.order
    if message.aligned:
        there = (len(body) + _STRIDE - _EVENT_BYTES) // _STRIDE
    else:
        there = len(body) // _EVENT_BYTES
    count = min(there, message.count)
    if message.aligned:
        # Only the first address is not preceded by two bytes that fill up the one before.
        rows = body.ljust(_STRIDE * there, b"\0")[: _STRIDE * count]
        times = _fields(rows, _STRIDE, {"s": ("i4", 4), "ns": ("u4", 8), "on": ("u1", 12)}, order)
        moved = body[:4] + bytes(12) + rows[14:-2] if count else b""
        places = _fields(moved, _STRIDE, {"x": ("u2", 0), "y": ("u2", 2)}, order)
    else:
        fields = {"x": ("u2", 0), "y": ("u2", 2), "s": ("u4", 4), "ns": ("u4", 8), "on": ("u1", 12)}
        times = places = _fields(body[: count * _EVENT_BYTES], _EVENT_BYTES, fields, order)
    seconds, rest_ns = times["s"].astype(np.int64), times["ns"].astype(np.int64)
    raw = {
        "t": seconds * 1_000_000 + (rest_ns + 500) // 1_000,
        "x": places["x"],
        "y": places["y"],
        "on": times["on"],
    }
    events = events_of(raw, "us", _event)
    if count == message.count:
        return events
    text = f"a message states {message.count} events and holds {count}"
    return _with(events, "truncated", text, message.count - count)


def decode_words(message: Message) -> AnyColumns:
    """Return the events of an EventPacket of 64-bit words: `mono` or `libcaer`.

    Raises:
        MessageError: its times lie beyond 63 bits of nanoseconds.
    """
    if message.base_ns >= _LATEST_NS - (1 << 52):
        raise MessageError(f"its time base is {message.base_ns} ns")
    size = min(message.count, len(message.body)) // _WORD_BYTES * _WORD_BYTES
    data = message.body[:size]
    x: NDArray[Any]
    y: NDArray[Any]
    on: NDArray[Any]
    if message.encoding == "mono":
        words = np.frombuffer(data, f"{message.order}u8").astype(np.uint64)
        t_ns = message.base_ns + (words & np.uint64(0xFFFF_FFFF)).astype(np.int64)
        x = words >> np.uint64(32) & np.uint64(0xFFFF)
        y = words >> np.uint64(48) & np.uint64(0x7FFF)
        on = words >> np.uint64(63)
    else:
        pairs = np.frombuffer(data, "<u4").reshape(-1, 2).astype(np.int64)
        stamp_us = pairs[:, 1] & 0x7FFF_FFFF
        wraps = np.cumsum(np.diff(stamp_us, prepend=stamp_us[:1]) < 0)
        t_ns = message.base_ns + stamp_us * 1_000 + wraps * _CAER_WRAP_NS
        x, y, on = pairs[:, 0] >> 17, pairs[:, 0] >> 2 & 0x7FFF, pairs[:, 0] >> 1 & 1
    events = events_of({"t": t_ns, "x": x, "y": y, "on": on}, "ns", _event)
    rest = message.count - size
    if not rest:
        return events
    text = f"a packet states {message.count} bytes and holds whole events of {size}"
    return _with(events, "truncated", text, 1)


def _fields(
    data: bytes, stride: int, fields: dict[str, tuple[str, int]], order: str
) -> NDArray[Any]:
    spelled = {
        "names": list(fields),
        "formats": [f"{order}{kind}" for kind, _ in fields.values()],
        "offsets": [offset for _, offset in fields.values()],
        "itemsize": stride,
    }
    return np.frombuffer(data, np.dtype(spelled))  # type: ignore[call-overload]


def _event(row: int) -> str:
    return f"event {row} of a message"


def _with(events: AnyColumns, kind: str, text: str, count: int) -> AnyColumns:
    problems = both(events.problems, problem(kind, text, len(events), count))
    return replace(events, problems=problems)
