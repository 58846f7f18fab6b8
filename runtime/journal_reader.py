"""Reads a journal's files: whole records, and where something is missing."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from retempo.runtime.errors import InputError
from retempo.runtime.journal_format import (
    HEAD,
    MAGIC,
    MAX_RECORD_BYTES,
    VERSION,
    Begin,
    Record,
    decode_record,
    journal_files,
)


@dataclass(frozen=True, slots=True)
class Broken:
    """What follows does not join what came before: records are missing in between."""

    why: str


def read_journal(folder: Path) -> Iterator[Record | Broken]:
    """Yield the records of a journal in their order, each file's `Begin` first.

    A file that ends within a record, as after a crash, is read up to its last whole one. Behind a
    `Broken` no stream that is open goes on.

    Raises:
        InputError: there is no journal, or a file is of another version.
    """
    try:
        files = journal_files(folder)
    except OSError as error:
        raise InputError(f"no journal in {folder}: {error.strerror or error}") from error
    if not files:
        raise InputError(
            f"no journal in {folder}: it has no files journal-00000001.rtj and so on; "
            "give the folder that [journal] folder names"
        )
    before: Begin | None = None
    for _, path in files:
        records = _records_of(path)
        begin = next(records, None)
        if not isinstance(begin, Begin):
            yield Broken(begin.why if isinstance(begin, Broken) else f"{path.name} is empty")
            before = None
            continue
        same = before is not None and before.session == begin.session
        if same and before is not None and before.number + 1 != begin.number:
            yield Broken(f"{path.name} does not go on from the file before it")
        yield begin
        yield from records
        before = begin


def _records_of(path: Path) -> Iterator[Record | Broken]:
    """Yield the records of a file, and what is wrong with its end."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            yield Broken(f"{path.name} is no file of a journal")
            return
        while True:
            place = file.tell()
            body = _next_body(file)
            if body is None:
                return
            if isinstance(body, str):
                yield Broken(f"{path.name} {body} at byte {place}; what follows is not read")
                return
            try:
                record = decode_record(body)
            except msgspec.MsgspecError as error:
                yield Broken(f"{path.name} holds no record at byte {place}: {error}")
                return
            if isinstance(record, Begin) and record.version != VERSION:
                raise InputError(
                    f"{path} is of version {record.version}, expected {VERSION}; "
                    f"replay it by Retempo {record.retempo}"
                )
            yield record


def _next_body(file: BinaryIO) -> bytes | str | None:
    """Return what the next frame holds, None at the end of the file, or what is wrong."""
    head = file.read(HEAD.size)
    if not head:
        return None
    if len(head) < HEAD.size:
        return "ends within a record"
    size, expected = HEAD.unpack(head)
    if size > MAX_RECORD_BYTES:
        return "is damaged"
    body = file.read(size)
    if len(body) < size:
        return "ends within a record"
    return body if zlib.crc32(body) == expected else "is damaged"
