"""The thread that brings checkpoints to the disk, and says when the next one is due."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from retempo.runtime.checkpoint import Checkpoint, encode_checkpoint

# How long a daemon that ends waits for a disk that does not answer.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a checkpoint: `reason` says why it could not be written."""

    checkpoint: Checkpoint
    reason: str | None = None


class Folder(Protocol):
    """Where checkpoints are written, see `runtime.checkpoint_folder`."""

    def write(self, parts: list[bytes | memoryview]) -> object:
        """Write the next one; OSError where it cannot be."""
        ...


class Writer(Protocol):
    """What takes checkpoints away from the loop."""

    @property
    def sources(self) -> Sequence[Any]:
        """What wakes the loop when a checkpoint is due or written."""
        ...

    def due(self) -> bool:
        """Whether the next checkpoint may be taken: it is time, and the last one is written."""
        ...

    def submit(self, checkpoint: Checkpoint | None) -> None:
        """Write a checkpoint, or none as nothing has changed; the next is due an interval later."""
        ...

    def outcome(self) -> Outcome | None:
        """Return what became of the last one, once."""
        ...

    def wake(self) -> None:
        """Wake the loop."""
        ...

    def close(self) -> None:
        """Wait until what was submitted is written, and end."""
        ...


class ThreadWriter:
    """Writes in a thread of its own; `every_s` pass between the end of one and the next."""

    def __init__(self, folder: Folder, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s
        self._changed = threading.Condition()
        self._job: Checkpoint | None = None
        self._asked = False
        self._due = self._closing = False
        self._outcome: Outcome | None = None
        self._waker, self._wake = socket.socketpair()
        for end in (self._waker, self._wake):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    @property
    def sources(self) -> Sequence[Any]:
        """See `Writer`."""
        return [self._waker]

    def due(self) -> bool:
        """See `Writer`."""
        with suppress(BlockingIOError):
            self._waker.recv(4_096)
        return self._due

    def submit(self, checkpoint: Checkpoint | None) -> None:
        """See `Writer`."""
        with self._changed:
            self._job, self._asked, self._due = checkpoint, True, False
            self._changed.notify()

    def outcome(self) -> Outcome | None:
        """See `Writer`."""
        with self._changed:
            outcome, self._outcome = self._outcome, None
        return outcome

    def wake(self) -> None:
        """See `Writer`."""
        with suppress(OSError):
            self._wake.send(b"\0")

    def close(self) -> None:
        """See `Writer`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_PATIENCE_S)
        self._waker.close()
        self._wake.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                # While one is being collected the thread waits for it; else the interval passes.
                wait_s = None if self._due else self._every_s
                told = self._changed.wait_for(lambda: self._asked or self._closing, wait_s)
                if not told:
                    self._due = True
                elif not self._asked:
                    return
                job, self._job, self._asked = self._job, None, False
            if job is not None:
                outcome = _written(self._folder.write, job)
                with self._changed:
                    self._outcome = outcome
            self.wake()


def _written(write: Callable[[list[bytes | memoryview]], object], job: Checkpoint) -> Outcome:
    try:
        write(encode_checkpoint(job))
    except OSError as error:
        return Outcome(job, error.strerror or str(error))
    except Exception as error:  # noqa: BLE001  (a checkpoint that fails must not end the next)
        return Outcome(job, f"{type(error).__name__}: {error}")
    return Outcome(job)
