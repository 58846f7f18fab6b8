"""Messages made beforehand, sent with their times moved on.

What a message costs its sender is then a header of a hundred bytes and the socket; the payload
holds times from the header's start on, so that it is the same however late it is sent.
"""

import msgspec
import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.wire import Cursor, encode_message
from retempo.sensors.wire_header import Header

Made = tuple[Header, bytes]


def made(
    stream: str, geometry: GridGeometry, messages: int, count: int, span_us: int, seed: int = 0
) -> list[Made]:
    """Return messages of `count` random events within `[0, span_us)`, the first of them at 0."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(messages):
        t_us = np.sort(rng.integers(0, span_us, count)).astype(np.int64)
        t_us[0] = 0
        piece = EventChunk(
            t_us,
            span_us,
            x=rng.integers(0, geometry.width, count).astype(np.uint16),
            y=rng.integers(0, geometry.height, count).astype(np.uint16),
            on=rng.random(count) < 0.5,
        )
        header, payload = encode_message("events", piece, Cursor(stream, geometry, 1))
        found.append((msgspec.msgpack.decode(header, type=Header), bytes(payload)))
    return found


def moved(header: Header, number: int, span_us: int, sent: int) -> bytes:
    """Return the header of a stream's message of that number, behind so many events sent."""
    at_us = number * span_us
    moved_on = msgspec.structs.replace(
        header, sequence=number, t_start_us=at_us, t_end_us=at_us + span_us, sent=sent
    )
    return msgspec.msgpack.encode(moved_on)
