"""The folder of a daemon's checkpoints: the newest valid one is read, two are kept.

A checkpoint appears whole under its name or not at all: it is written beside it, synced, renamed,
and the folder is synced.
"""

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from retempo.runtime.checkpoint import (
    HEAD_BYTES,
    MAX_BYTES,
    Checkpoint,
    check_head,
    decode_checkpoint,
)
from retempo.runtime.errors import CheckpointError, ConfigError

T = TypeVar("T")

_NAME, _BESIDE, _LOCK = "checkpoint.", ".checkpoint.part", ".checkpoint.lock"
_KEPT = 2
# Beyond this no number of a file is one of ours.
_LONGEST_NUMBER = 18

Refused = Callable[[Path, CheckpointError], None]


class CheckpointFolder:
    """A folder that one daemon writes checkpoints into, locked as long as it is open."""

    def __init__(self, path: Path) -> None:
        """Take the folder.

        Raises:
            ConfigError: another daemon has it.
        """
        self.path = path
        self._good: list[int] = []
        self._lock: BinaryIO | None = None
        self._take()

    def newest(self, take: Callable[[Checkpoint], T], refused: Refused) -> T | None:
        """Return what `take` makes of the newest checkpoint that it takes, None if there is none.

        Args:
            take: makes something of a checkpoint, or refuses it by a `CheckpointError`.
            refused: told of every file that is not taken, and why.
        """
        for number in sorted(_numbers(self.path), reverse=True):
            path = self._path(number)
            try:
                taken = take(read_checkpoint(path))
            except CheckpointError as error:
                refused(path, error)
                continue
            self._good = [number]
            return taken
        return None

    @staticmethod
    def look(path: Path, take: Callable[[Checkpoint], T]) -> T | None:
        """As `newest`, of a folder that may be another's: nothing is locked or made."""
        for number in sorted(_numbers(path), reverse=True):
            with suppress(CheckpointError):
                return take(read_checkpoint(path / f"{_NAME}{number}"))
        return None

    def write(self, parts: Iterable[bytes | memoryview]) -> Path:
        """Write the next checkpoint and remove those beyond the two that are kept.

        Raises:
            OSError: it cannot be written: the disk is full, read-only or gone. Nothing has changed.
            ConfigError: the folder came back, and another daemon has it.
        """
        self._take()
        numbers = _numbers(self.path)
        number = max(numbers, default=0) + 1
        beside, path = self.path / _BESIDE, self._path(number)
        try:
            write_synced(beside, parts)
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        sync_folder(self.path)
        self._good = [*self._good[1 - _KEPT :], number]
        for old in numbers:
            if old not in self._good:
                with suppress(OSError):
                    self._path(old).unlink(missing_ok=True)
        return path

    def close(self) -> None:
        """Let another daemon have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take(self) -> None:
        """Make the folder and lock it, if need be anew because it had vanished.

        What cannot be made now is tried again at the next checkpoint.
        """
        lock = self.path / _LOCK
        if self._lock is not None and lock.exists():
            return
        self.close()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = lock.open("ab")
        except OSError:
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.close()
            raise ConfigError(
                f"[checkpoint] folder: another daemon has {self.path}; give each its own"
            ) from error
        self._lock = held

    def _path(self, number: int) -> Path:
        return self.path / f"{_NAME}{number}"


def _numbers(path: Path) -> list[int]:
    try:
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
    except OSError:
        return []
    ends = [name.removeprefix(_NAME) for name in names if name.startswith(_NAME)]
    return [
        int(end) for end in ends if end.isascii() and end.isdigit() and len(end) <= _LONGEST_NUMBER
    ]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's file.

    Raises:
        CheckpointError: it cannot be read, or see `runtime.checkpoint.decode_checkpoint`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            check_head(head, size)
            content = head + file.read(min(size, MAX_BYTES) - len(head))
    except OSError as error:
        raise CheckpointError(f"it cannot be read: {error.strerror}") from error
    return decode_checkpoint(content)


def write_synced(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file and wait until the disk has it; nobody else may read it.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the disk has a folder's names.

    Raises:
        OSError: it cannot be synced.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
