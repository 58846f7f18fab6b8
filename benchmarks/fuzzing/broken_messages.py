"""Messages that are broken in every way that a sender may break them, and bytes that are none."""

import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_TIMEOUT_S = 60.0

Frames = list[bytes]


@dataclass(frozen=True)
class Valid:
    """Well-formed messages of a stream, as what is broken begins."""

    header: dict[str, Any]
    payload: bytes

    def message(self, **values: Any) -> Frames:
        return [msgspec.msgpack.encode(self.header | values), self.payload]


def cut(rng: random.Random, valid: Valid, _number: int) -> Frames:
    frames = valid.message()
    which = rng.randrange(2)
    frames[which] = frames[which][: rng.randrange(len(frames[which]))]
    return frames


def empty(rng: random.Random, valid: Valid, _number: int) -> Frames:
    header, payload = valid.message()
    return rng.choice([[b""], [b"", b""], [b"", payload], [header, b""], [header], [b""] * 40])


def noise(rng: random.Random, _valid: Valid, _number: int) -> Frames:
    return [rng.randbytes(rng.randrange(400)) for _ in range(rng.randrange(1, 4))]


def flipped(rng: random.Random, valid: Valid, _number: int) -> Frames:
    frames = [bytearray(frame) for frame in valid.message()]
    for _ in range(rng.randrange(1, 5)):
        frame = rng.choice(frames)
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return [bytes(frame) for frame in frames]


def miscounted(rng: random.Random, valid: Valid, _number: int) -> Frames:
    events = valid.header["count"]
    wrong = [0, events - 1, events + 1, 2**31, 2**61, 2**63 // 7 + 1, 2**64 // 7 + 1, -1]
    return valid.message(count=rng.choice(wrong))


def of_any_value(rng: random.Random, valid: Valid, _number: int) -> Frames:
    values: list[Any] = [
        None,
        True,
        -1,
        2**63,
        2**64 - 1,
        1.5,
        float("nan"),
        "",
        "x" * 300,
        b"x",
        [],
        {},
    ]
    return valid.message(**{rng.choice(list(valid.header)): rng.choice(values)})


def into_an_open_stream(rng: random.Random, valid: Valid, number: int) -> Frames:
    """The header is right, the payload anything: addresses outside the sensor, odd polarities.

    All of it is taken; such events are counted as invalid.
    """
    size = len(valid.payload)
    payload = bytearray(rng.randbytes(size))
    if rng.random() < 0.5:
        polarities = valid.header["count"]
        payload[size - polarities :] = bytes(rng.choices((0, 1), k=polarities))
    header = valid.header | {"stream": "open", "sequence": number}
    return [msgspec.msgpack.encode(header), bytes(payload)]


KINDS: dict[str, Callable[[random.Random, Valid, int], Frames]] = {
    "cut short": cut,
    "empty or too many frames": empty,
    "random bytes": noise,
    "bits flipped": flipped,
    "count is not the payload's": miscounted,
    "a value of another type": of_any_value,
    "random payload, stream open": into_an_open_stream,
}


def raw_bytes(rng: random.Random, port: int) -> None:
    """Say something that is no ZMTP, or the beginning of it, and go."""
    said = rng.choice(
        [
            rng.randbytes(rng.randrange(1, 200)),
            b"GET / HTTP/1.1\r\n\r\n",
            GREETING[: rng.randrange(len(GREETING))],
            GREETING + rng.randbytes(rng.randrange(1, 100)),
        ]
    )
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as sock, suppress(OSError):
        sock.sendall(said)
