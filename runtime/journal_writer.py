"""A thread that writes a journal's records, so that no stream waits for a disk."""

import errno
import threading
from collections.abc import Callable

from retempo.runtime.journal_files import JournalFiles

# What may wait for the disk: some seconds of a fast feed.
MOST_BYTES = 1 << 26
# What is gathered before the thread wakes, at the latest once a second.
_HANDFUL_BYTES = 1 << 18
# How long the end of the daemon may wait for the disk.
_CLOSE_S = 2.0


class JournalWriter:
    """Takes records at once and writes them in their order.

    What goes wrong behind it is raised by the next call. From then on nothing is written until
    `restart`.
    """

    def __init__(self, files: JournalFiles) -> None:
        self._files = files
        self._changed = threading.Condition()
        self._pending: list[bytearray | Callable[[int], bytes]] = []
        self._bytes = 0
        self._error: OSError | None = None
        self._due = self._busy = self._ending = False
        self._reopen: Callable[[int], bytes] | None = None
        # Should the disk hang, the process may end all the same.
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, record: bytearray) -> None:
        """Take a record.

        Raises:
            OSError: nothing can be written, or the disk is too slow for what comes.
        """
        with self._changed:
            self._check()
            if self._bytes + len(record) > MOST_BYTES:
                raise OSError(errno.ENOBUFS, "the disk is slower than the feed")
            self._pending.append(record)
            self._bytes += len(record)
            if self._bytes >= _HANDFUL_BYTES:
                self._changed.notify_all()

    def begin(self, first: Callable[[int], bytes]) -> None:
        """Begin another file behind what is pending; `first` makes its beginning from now on.

        Raises:
            OSError: nothing can be written.
        """
        with self._changed:
            self._check()
            self._pending.append(first)
            self._due = True
            self._changed.notify_all()

    def flush(self) -> None:
        """Have what is pending written, without waiting for it.

        Raises:
            OSError: nothing can be written.
        """
        with self._changed:
            self._check()
            self._due = bool(self._pending)
            self._changed.notify_all()

    def sync(self) -> None:
        """Wait until all that is pending has been written, or could not be."""
        with self._changed:
            self._due = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._due or self._busy))

    @property
    def at_ease(self) -> bool:
        """Whether the disk keeps up: what waits is less than half of what may."""
        return 2 * self._bytes < MOST_BYTES

    def takes(self, size: int) -> bool:
        """Whether so many bytes more may wait for the disk."""
        return self._bytes + size <= MOST_BYTES

    def restart(self, first: Callable[[int], bytes]) -> None:
        """Begin another file, as `begin` does; what is pending is forgotten."""
        with self._changed:
            self._pending.clear()
            self._bytes = 0
            self._error = None
            self._reopen = first
            self._changed.notify_all()

    def close(self) -> None:
        """Write what is pending and finish the file.

        Raises:
            OSError: it cannot be written, or not in time.
        """
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            raise OSError(errno.ETIMEDOUT, "the disk does not take the end of the journal in time")
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        ending = False
        while not ending:
            with self._changed:
                self._changed.wait_for(self._has_work)
                records, self._pending = self._pending, []
                reopen, ending = self._reopen, self._ending
                self._reopen, self._due = None, False
                self._busy = True
            error = self._write(records, reopen=reopen, ending=ending)
            size = sum(len(each) for each in records if isinstance(each, bytearray))
            with self._changed:
                self._bytes = max(0, self._bytes - size)
                if error is not None:
                    self._error = error
                    self._pending.clear()
                    self._bytes = 0
                self._busy = False
                self._changed.notify_all()

    def _has_work(self) -> bool:
        full = self._bytes >= _HANDFUL_BYTES and bool(self._pending)
        return self._due or self._ending or self._reopen is not None or full

    def _write(
        self,
        records: list[bytearray | Callable[[int], bytes]],
        *,
        reopen: Callable[[int], bytes] | None,
        ending: bool,
    ) -> OSError | None:
        try:
            if reopen is not None:
                self._files.begin_with(reopen)
            for record in records:
                if isinstance(record, bytearray):
                    self._files.append(record)
                else:
                    self._files.begin_with(record)
            self._files.flush()
            if ending:
                self._files.close()
        except OSError as error:
            self._files.drop()
            return error
        return None
