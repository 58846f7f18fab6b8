"""Numbered files that are appended to, of bounded size and number."""

from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from retempo.runtime.journal_format import MAGIC, file_name, journal_files

# What is gathered before it goes to the system, at the latest once a second.
_BUFFER_BYTES = 1 << 18


class JournalFiles:
    """The files of one folder, of which the last is being written.

    Every file begins with `MAGIC` and what `begin` returns for its number. Beyond `files` the
    oldest are deleted. Raises OSError where the system refuses; after `drop` it may be tried again.
    """

    def __init__(
        self, folder: Path, begin: Callable[[int], bytes], *, file_bytes: int, files: int
    ) -> None:
        self._folder = folder
        self._begin = begin
        self._file_bytes = file_bytes
        self._files = files
        self._file: FileIO | None = None
        self._buffer = bytearray()
        self._size = 0

    def open_next(self) -> None:
        """Begin the file after the last of the folder; make room for it first."""
        self.close()
        # Whoever reads a journal reads what the sensors saw.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        there = journal_files(self._folder)
        for _, path in there[: max(0, len(there) - self._files + 1)]:
            path.unlink()
        number = there[-1][0] + 1 if there else 1
        self._file = FileIO(self._folder / file_name(number), "x")
        self._buffer += MAGIC + self._begin(number)
        self._size = len(self._buffer)
        self.flush()

    def begin_with(self, begin: Callable[[int], bytes]) -> None:
        """Begin the next file, and all that follow it, otherwise."""
        self._begin = begin
        self.open_next()

    def append(self, record: bytearray) -> None:
        """Append a whole record, to the next file if it would make this one too long."""
        if self._size + len(record) > self._file_bytes:
            self.open_next()
        self._buffer += record
        self._size += len(record)
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what has been gathered to the system."""
        if self._file is None:
            return
        with memoryview(self._buffer) as view:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:]) or 0
        self._buffer.clear()

    def close(self) -> None:
        """Finish the file. The system brings it to the disk: to wait for that would be too long."""
        if self._file is None:
            return
        self.flush()
        self._file.close()
        self._file = None

    def drop(self) -> None:
        """Leave the file as it is, as nothing can be written to it."""
        self._buffer = bytearray()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
