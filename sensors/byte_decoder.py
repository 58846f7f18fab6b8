"""Decoders that take any piece of bytes and carry their state on: file, socket and camera alike."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from retempo.sensors.columns import AnyColumns
from retempo.sensors.errors import RecordingError

S = TypeVar("S")
Buffer = bytes | bytearray | memoryview
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ByteDecoder(Generic[S]):
    """A decoder as three pure functions; how the bytes are cut never changes the events.

    `start()` is the state before the first byte, `feed(state, data)` decodes the next bytes,
    `finish(state)` says what the end leaves unfinished. A state may be fed once: its arrays may be
    written to by `feed`, and what is carried on is the state that `feed` returns.
    """

    start: Callable[[], S]
    feed: Callable[[S, Buffer], tuple[S, AnyColumns]]
    finish: Callable[[S], AnyColumns]


def decode_pieces(decoder: ByteDecoder[S], pieces: Iterable[Buffer]) -> Iterator[AnyColumns]:
    """Decode bytes however they are cut."""
    state = decoder.start()
    for data in pieces:
        state, columns = decoder.feed(state, data)
        yield columns
    yield decoder.finish(state)


def decode_file(
    path: Path, decoder: ByteDecoder[S], offset: int = 0, piece_bytes: int = PIECE_BYTES
) -> Iterator[AnyColumns]:
    """Decode a file from the byte `offset` on, in pieces of bounded size.

    Raises:
        RecordingError: the file cannot be read.
    """
    return decode_pieces(decoder, read_pieces(path, offset, piece_bytes))


def read_pieces(path: Path, offset: int = 0, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """Read a file in pieces from the byte `offset` on.

    Raises:
        RecordingError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while data := file.read(piece_bytes):
                yield data
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Carried:
    """The bytes of an unfinished record, and how many bytes came before them."""

    rest: bytes = b""
    offset: int = 0


def whole_records(carried: Carried, data: Buffer, record_bytes: int) -> tuple[bytes, Carried]:
    """Cut bytes at the last whole record of a fixed size; the rest is carried to the next piece."""
    ready = carried.rest + bytes(data) if carried.rest else bytes(data)
    size = len(ready) // record_bytes * record_bytes
    return ready[:size], Carried(ready[size:], carried.offset + size)
