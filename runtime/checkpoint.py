"""A checkpoint as one file: all open streams of a daemon, and what they were saved of.

    head     magic, version, length of the index, length of the arrays; SHA-256 of what follows it
    index    MessagePack: whose streams they are, where each stands, which arrays follow
    arrays   as they lie in memory, one behind the other, little-endian

A file is read only if it is as long as its head says, so its size bounds what reading it takes.
"""

import hashlib
import struct
import sys
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import CheckpointError
from retempo.runtime.saved_state import Plain, Saved
from retempo.sensors.wire_header import ChannelHeader, GridHeader

MAGIC = b"RETEMPOC"
VERSION = 1
# More than the largest deployment has, and what reading one may take at most.
MAX_BYTES = 1 << 32

_HEAD = struct.Struct("<8sIIQ")
_DIGEST = hashlib.sha256().digest_size
_BEGIN = _HEAD.size + _DIGEST
_MOST_AXES = 8
_TYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("float32", "float64", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
} | {"bool": np.dtype(np.uint8)}

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Sequence = Annotated[int, msgspec.Meta(ge=-1, le=2**62)]
_Side = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class ArrayEntry(msgspec.Struct, frozen=True, array_like=True):
    """One array of a stream: its name, type and shape; its bytes follow those of the one before."""

    name: str
    dtype: str
    shape: list[_Side]


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands: how far its messages are stepped, and what its pipeline keeps.

    `expected`, `sent` and `lost` are the place behind message `stepped`, see `runtime.feed.Inbox`.
    `run` is the epoch of its decisions where that is not the sender's, `rung` is where it stands on
    the ladder of time steps.
    """

    name: str
    epoch: _Count
    geometry: GridHeader | ChannelHeader
    stepped: _Sequence
    expected: _Count
    sent: _Count
    lost: _Count
    missing: _Count
    duplicates: _Count
    rung: _Count
    run: _Count | None = None
    plain: dict[str, str | float | int | None] = msgspec.field(default_factory=dict)
    arrays: list[ArrayEntry] = msgspec.field(default_factory=list)


class FinishedEntry(msgspec.Struct, frozen=True, array_like=True):
    """A stream that was finished lately, see `runtime.finished.Finished`."""

    name: str
    epoch: _Count
    expected: _Count
    sent: _Count
    lost: _Count
    counters: dict[str, _Count] | None


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint holds; `history` are stream, epoch, sequence and body of late decisions."""

    model: str
    settings: str
    engine: str
    streams: list[StreamEntry]
    finished: list[FinishedEntry] = msgspec.field(default_factory=list)
    history: list[tuple[str, _Count, _Count, bytes]] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class SavedStream:
    """A stream's entry and the state that it describes; whoever made it may keep it."""

    entry: StreamEntry
    state: Saved


@dataclass(frozen=True, slots=True)
class Identity:
    """What must be equal for a checkpoint to be taken: both digests are SHA-256 in hexadecimal.

    `engine` is named for whoever chooses one, it is part of `settings` as well.
    """

    model: str
    settings: str
    engine: str


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """All that a daemon goes on by."""

    identity: Identity
    streams: tuple[SavedStream, ...]
    finished: tuple[FinishedEntry, ...] = ()
    history: tuple[tuple[str, int, int, bytes], ...] = ()


def described(entry: StreamEntry, state: Saved) -> SavedStream:
    """Return a stream whose entry tells of its state's arrays and plain values."""
    arrays = [
        ArrayEntry(name, str(value.dtype), list(value.shape))
        for name, value in state.items()
        if isinstance(value, np.ndarray)
    ]
    plain = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
    return SavedStream(msgspec.structs.replace(entry, plain=plain, arrays=arrays), state)


def encode_checkpoint(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """Return the parts of the file, to be written one behind the other; arrays are not copied."""
    identity = checkpoint.identity
    index = msgspec.msgpack.encode(
        Index(
            model=identity.model,
            settings=identity.settings,
            engine=identity.engine,
            streams=[stream.entry for stream in checkpoint.streams],
            finished=list(checkpoint.finished),
            history=list(checkpoint.history),
        )
    )
    arrays = [
        _bytes_of(value)
        for stream in checkpoint.streams
        for value in stream.state.values()
        if isinstance(value, np.ndarray) and value.size
    ]
    head = _HEAD.pack(MAGIC, VERSION, len(index), sum(len(each) for each in arrays))
    digest = hashlib.sha256(head)
    digest.update(index)
    for each in arrays:
        digest.update(each)
    return [head, digest.digest(), index, *arrays]


def decode_checkpoint(content: bytes | memoryview) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: it is none, truncated, damaged, or of another version.
    """
    content = memoryview(content)
    size = check_head(bytes(content[: _HEAD.size]), len(content))
    digest = hashlib.sha256(content[: _HEAD.size])
    digest.update(content[_BEGIN:])
    if digest.digest() != bytes(content[_HEAD.size : _BEGIN]):
        raise CheckpointError("its checksum does not match its content: it is damaged")
    try:
        index = _INDEX.decode(content[_BEGIN : _BEGIN + size])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise CheckpointError(f"its index cannot be read: {error}") from error
    if len({stream.name for stream in index.streams}) != len(index.streams):
        raise CheckpointError("it holds two streams of one name")
    rest, streams = content[_BEGIN + size :], []
    for entry in index.streams:
        state: Saved = dict[str, NDArray[Any] | Plain](entry.plain)
        for each in entry.arrays:
            if each.name in state:
                raise CheckpointError(f"the stream {entry.name!r} holds {each.name} twice")
            state[each.name], rest = _array_of(each, rest)
        streams.append(SavedStream(entry, state))
    if len(rest):
        raise CheckpointError(f"{len(rest):,} bytes follow its last array")
    return Checkpoint(
        Identity(index.model, index.settings, index.engine),
        tuple(streams),
        tuple(index.finished),
        tuple(index.history),
    )


def check_head(head: bytes, size: int) -> int:
    """Check the first bytes of a file against its size; returns the length of the index.

    Raises:
        CheckpointError: it is no checkpoint, truncated, too long, or of another version.
    """
    if len(head) < _HEAD.size or size < _BEGIN:
        raise CheckpointError(f"it is truncated: {size:,} bytes")
    magic, version, index, arrays = _HEAD.unpack(head[: _HEAD.size])
    if magic != MAGIC:
        raise CheckpointError("it is no checkpoint of Retempo")
    if version != VERSION:
        raise CheckpointError(
            f"it is of version {version}, this Retempo reads version {VERSION}; start it with the "
            "version that wrote it, or begin anew in another folder"
        )
    if size > MAX_BYTES or _BEGIN + index + arrays != size:
        raise CheckpointError(
            f"it is {size:,} bytes long, its head says {_BEGIN + index + arrays:,}: it is "
            "truncated or damaged"
        )
    return int(index)


HEAD_BYTES = _HEAD.size

_INDEX: msgspec.msgpack.Decoder[Index] = msgspec.msgpack.Decoder(Index)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    array = np.ascontiguousarray(array)
    if sys.byteorder == "big":  # pragma: no cover - no such machine is supported
        array = array.byteswap()
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def _array_of(entry: ArrayEntry, rest: memoryview) -> tuple[NDArray[Any], memoryview]:
    """Return a copy of the array at the head of `rest`, and what follows it."""
    dtype = _TYPES.get(entry.dtype)
    if dtype is None or len(entry.shape) > _MOST_AXES:
        raise CheckpointError(
            f"the array {entry.name} is {entry.dtype} of {len(entry.shape)} axes, which none is"
        )
    length = prod(entry.shape) * dtype.itemsize
    if length > len(rest):
        raise CheckpointError(f"the array {entry.name} is longer than the file")
    array = np.frombuffer(rest[:length], dtype).reshape(entry.shape)
    if entry.dtype == "bool":
        return array != 0, rest[length:]
    return array.astype(np.dtype(entry.dtype)), rest[length:]
