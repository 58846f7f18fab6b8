"""The header of a wire message: its fields, their limits, and how it is read safely."""

import re
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from retempo.sensors.errors import GeometryError, WireError
from retempo.sensors.events import Clock
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

VERSION = 1
MAX_HEADER_BYTES = 2_048
# Leaves room to int64, so that a receiver may add a bin or a lateness to any time.
MAX_TIME_US = 2**61

Kind = Literal["open", "events", "end"]
Buffer = bytes | bytearray | memoryview

_NAME = r"\A[^\x00-\x1f\x7f]{1,200}\Z"
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_US)]
Time = Annotated[int, msgspec.Meta(ge=-MAX_TIME_US, le=MAX_TIME_US)]
Name = Annotated[str, msgspec.Meta(pattern=_NAME)]


class GridHeader(msgspec.Struct, frozen=True, tag="grid", tag_field="kind"):
    """A grid geometry on the wire."""

    width: int
    height: int
    polarities: int


class ChannelHeader(msgspec.Struct, frozen=True, tag="channels", tag_field="kind"):
    """A channel geometry on the wire."""

    channels: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Frame one of every message; unknown keys are ignored, so that a version may grow."""

    v: int
    kind: Kind
    stream: Name
    epoch: Count
    sequence: Count
    geometry: GridHeader | ChannelHeader
    count: Count
    t_start_us: Time
    t_end_us: Time
    sent: Count
    lost: Count
    clock: Clock


class Glance(msgspec.Struct, frozen=True, gc=False):
    """A header whose claims are still to be compared with what is known of its stream.

    A live message says what the one before has said, but for a few numbers: to compare takes a
    third of the time that it takes to check. What does not compare is to be read by
    `decode_header`, which tells what is wrong.
    """

    v: int
    kind: Kind
    stream: str
    epoch: int
    sequence: int
    geometry: msgspec.Raw
    count: int
    t_start_us: Time
    t_end_us: Time
    sent: int
    lost: int
    clock: Clock


class _Version(msgspec.Struct):
    v: int


_GLANCE = msgspec.msgpack.Decoder(Glance)
_HEADER = msgspec.msgpack.Decoder(Header)
_VERSION = msgspec.msgpack.Decoder(_Version)
# A hostile header can nest deeper than the interpreter's stack, or name keys that are no UTF-8.
_DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)


def decode_header(frame: Buffer) -> Header:
    """Read and check a header.

    Raises:
        WireError: it is too long, no MessagePack, of another version, or breaks a limit.
    """
    size = memoryview(frame).nbytes
    if size > MAX_HEADER_BYTES:
        raise WireError(f"a header has at most {MAX_HEADER_BYTES} bytes, got {size}")
    try:
        header = _HEADER.decode(frame)
    except _DECODE_ERRORS as error:
        try:
            version = _VERSION.decode(frame).v
        except _DECODE_ERRORS:
            raise WireError(f"the header is none of Retempo's: {_line(error)}") from error
        if version == VERSION:
            raise WireError(f"the header breaks the format: {_line(error)}") from error
        raise WireError(f"the message is of version {version}, expected {VERSION}") from error
    if header.v != VERSION:
        raise WireError(f"the message is of version {header.v}, expected {VERSION}")
    return header


def glance(frame: Buffer) -> Glance | None:
    """Read a header of this version, but for its limits; None where it is none."""
    if len(frame) > MAX_HEADER_BYTES:
        return None
    try:
        seen = _GLANCE.decode(frame)
    except _DECODE_ERRORS:
        return None
    return seen if seen.v == VERSION else None


def check_name(stream: str) -> None:
    """Check that a stream may be called so.

    Raises:
        WireError: the name is empty, longer than 200 characters or holds control characters.
    """
    if re.search(_NAME, stream) is None:
        raise WireError(
            f"a stream's name has 1 to 200 characters and no control characters, got {stream!r}"
        )


@lru_cache(maxsize=256)
def geometry_header(geometry: Geometry) -> GridHeader | ChannelHeader:
    """Return a geometry as the header carries it."""
    if isinstance(geometry, ChannelGeometry):
        return ChannelHeader(geometry.channels)
    return GridHeader(geometry.width, geometry.height, geometry.polarities)


@lru_cache(maxsize=256)
def header_geometry(header: GridHeader | ChannelHeader) -> Geometry:
    """Return the geometry that a header carries.

    Raises:
        WireError: there is no such sensor.
    """
    try:
        if isinstance(header, ChannelHeader):
            return ChannelGeometry(header.channels)
        return GridGeometry(header.width, header.height, header.polarities)
    except GeometryError as error:
        raise WireError(f"the header's geometry is impossible: {error}") from error


def _line(error: BaseException) -> str:
    return str(error).replace("`", "").splitlines()[0]
