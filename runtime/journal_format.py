"""The journal's files: what an action is written down as, and how a record is framed.

A file is `MAGIC`, then records: two little-endian 32-bit numbers, the length and the CRC-32 of what
follows, and a MessagePack array whose first element is the record's kind. The first record of a
file is its `Begin`. Files are numbered; a stream goes on from one to the next of its session.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Final

import msgspec

MAGIC: Final = b"RTMPOJ1\n"
VERSION: Final = 1
HEAD: Final = struct.Struct("<II")
# Of what a stream stands at in one record.
PART_BYTES: Final = 2**20
# A message of the feed, which has at most a megabyte, and what is said of it.
MAX_RECORD_BYTES: Final = 2**21
_NAME: Final = re.compile(r"journal-(\d{8})\.rtj")


class Begin(msgspec.Struct, frozen=True, array_like=True, tag="begin"):
    """What served: the same for every file of a session, but for the number.

    `settings` is the `ServeConfig` as JSON, relative to `folder`; `filters` are texts that take the
    place of its own, None if none did.
    """

    version: int
    session: int
    number: int
    retempo: str
    engine: str
    model_sha256: str
    settings_sha256: str
    settings: str
    folder: str
    filters: list[str] | None


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """A stream has been opened by a message of that header; `run` names it from here on.

    Its decisions carry `epoch`.
    """

    run: int
    header: bytes
    epoch: int


class Resumed(msgspec.Struct, frozen=True, array_like=True, tag="resume"):
    """A stream is gone on with: it was open before, under another model or another daemon.

    What it stands at is a checkpoint of this one stream, see `runtime.checkpoint`, of `size` bytes:
    they follow as `Part`s of the same `run`. Its decisions carry `epoch`.
    """

    run: int
    epoch: int
    size: int


class Part(msgspec.Struct, frozen=True, array_like=True, tag="part"):
    """The next bytes of what a stream stands at."""

    run: int
    state: bytes


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="take"):
    """A stream has taken a message, as it came; `lost` events were missing before it."""

    run: int
    lost: int
    header: bytes
    payload: bytes


class Shed(msgspec.Struct, frozen=True, array_like=True, tag="shed"):
    """A stream has left messages out: `(sequence, events, lost, t_end_us)` of each."""

    run: int
    reset: bool
    messages: list[tuple[int, int, int, int]]


class Changed(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """A stream has taken another time step."""

    run: int
    dt_us: int


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """A stream has been finished."""

    run: int


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="fail"):
    """A stream could go no further, or was taken from the daemon unfinished."""

    run: int
    reason: str


Record = Begin | Opened | Resumed | Part | Taken | Shed | Changed | Ended | Failed

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def append_record(record: Record, into: bytearray) -> None:
    """Append a record with its frame."""
    begin = len(into)
    into += bytes(HEAD.size)
    _ENCODER.encode_into(record, into, len(into))
    with memoryview(into) as whole:
        body = whole[begin + HEAD.size :]
        HEAD.pack_into(into, begin, len(body), zlib.crc32(body))
        body.release()


def decode_record(body: bytes) -> Record:
    """Read what a frame holds.

    Raises:
        msgspec.MsgspecError: it is no record.
    """
    return _DECODER.decode(body)


def file_name(number: int) -> str:
    """Return the name of a journal's file."""
    return f"journal-{number:08}.rtj"


def journal_files(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of a journal in their order, with their numbers."""
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)
