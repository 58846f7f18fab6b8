"""The journal: what a daemon has done to its streams, in its order, for a replay bit for bit.

A stream that is open as a session begins is taken up with its state, see `runtime.journal_resumed`.

It is a recorder of the server and a chore of the loop. A disk that is full, gone or too slow stops
the journal, never the streams: an error is logged, and what is open then is not recorded any
further. Streams that open later are, once the disk takes them again.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import retempo
from retempo.exporters.manifest import digest_of
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import ConfigError, RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_stream import FeedStream, Waiting
from retempo.runtime.journal_files import JournalFiles
from retempo.runtime.journal_format import (
    PART_BYTES,
    VERSION,
    Begin,
    Changed,
    Ended,
    Failed,
    Opened,
    Part,
    Record,
    Resumed,
    Shed,
    Taken,
    append_record,
)
from retempo.runtime.journal_resumed import Awaited, stand_of
from retempo.runtime.journal_writer import JournalWriter
from retempo.runtime.serve_config import ServeConfig
from retempo.sensors.wire_header import Buffer

FLUSH_S = 1.0
# How long a disk that refused is left alone.
_REST_S = 10.0


def beginning(
    settings: ServeConfig,
    folder: Path,
    served: Deployment,
    filters: Sequence[str] | None = None,
) -> Begin:
    """Return what every file of this daemon's journal begins with, but for the number.

    Args:
        settings: what is served.
        folder: what its relative paths start from.
        served: what was made of them.
        filters: texts that take the place of the configuration's.
    """
    text = msgspec.json.encode(settings)
    return Begin(
        version=VERSION,
        session=secrets.randbits(63),
        number=0,
        retempo=retempo.__version__,
        engine=served.engine.name,
        model_sha256=served.model.sha256,
        settings_sha256=digest_of(text),
        settings=text.decode(),
        folder=str(folder.absolute()),
        filters=None if filters is None else list(filters),
    )


class Journal:
    """A recorder that appends to files.

    Args:
        folder: where; it is made if it is not there.
        begin: see `beginning`.
        file_bytes: how long a file may become.
        files: how many are kept.
        log: told when nothing can be written.
        clock_s: the host's clock in seconds.

    Raises:
        ConfigError: no file can be begun.
    """

    keeps_frames = True
    sources: Sequence[Any] = ()

    def __init__(
        self,
        folder: Path,
        begin: Begin,
        *,
        file_bytes: int,
        files: int,
        log: EventLog,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.records = 0
        self.dropped = 0
        self.failures = 0
        self._begin = begin
        self._log = log
        self._clock_s = clock_s
        self._flushed_s = self._refused_s = clock_s()
        self._runs: dict[str, int] = {}
        self._awaited: dict[str, Awaited] = {}
        self._ended: tuple[str, int | None] = "", None
        self._next_run = 0
        self._stopped = False
        numbered = JournalFiles(folder, self._first_of(begin), file_bytes=file_bytes, files=files)
        try:
            numbered.open_next()
        except OSError as error:
            raise ConfigError(f"[journal] folder {folder}: {error.strerror or error}") from error
        self._writer = JournalWriter(numbered)

    @property
    def stopped(self) -> bool:
        """Whether nothing is recorded, until a stream opens and the disk takes it."""
        return self._stopped

    def opened(self, stream: str, header: Buffer, epoch: int) -> None:
        """See `Recorder`; a journal that was stopped is tried again."""
        if self._stopped and self._clock_s() - self._refused_s >= _REST_S:
            self._stopped = False
            self._writer.restart(self._first_of(self._begin))
        self._awaited.pop(stream, None)
        if not self._stopped:
            self._runs[stream] = self._new_run()
        self._record(stream, lambda run: Opened(run, bytes(header), epoch))

    def taken(self, stream: str, message: Waiting) -> None:
        """See `Recorder`."""
        self._take_up(stream)
        if len(message.frames) != 2:
            self._runs.pop(stream, None)  # nobody kept it: the stream cannot be told any further
        frames, lost = message.frames, message.chunk.lost
        self._record(stream, lambda run: Taken(run, lost, *frames))  # type: ignore[arg-type]

    def shed(self, stream: str, messages: Sequence[Waiting], *, reset: bool) -> None:
        """See `Recorder`."""
        self._take_up(stream)
        told = [(m.sequence, len(m.chunk), m.chunk.lost, m.chunk.t_end_us) for m in messages]
        self._record(stream, lambda run: Shed(run, reset, told))

    def changed(self, stream: str, dt_us: int) -> None:
        """See `Recorder`."""
        self._record(stream, lambda run: Changed(run, dt_us))

    def ended(self, stream: str) -> None:
        """See `Recorder`."""
        self._awaited.pop(stream, None)
        self._record(stream, Ended)
        self._ended = stream, self._runs.pop(stream, None)

    def failed(self, stream: str, reason: str) -> None:
        """See `Recorder`."""
        self._awaited.pop(stream, None)
        ended, run = self._ended
        if ended == stream and run is not None and stream not in self._runs:
            self._runs[stream] = run  # it failed over its end
        self._record(stream, lambda run: Failed(run, reason))
        self._runs.pop(stream, None)

    def swapped(self, new: Deployment, streams: Iterable[FeedStream]) -> None:
        """See `Recorder`: a session ends, and another begins in a file of its own.

        There a stream that is open is taken up as soon as the new model alone decides it.
        """
        for stream in list(self._runs):
            self.failed(stream, "the model was swapped")
        self._awaited = {each.name: Awaited(each, new) for each in streams}
        self._ended = "", None
        resolution = new.engine.resolution
        settings = msgspec.structs.replace(
            msgspec.json.decode(self._begin.settings, type=ServeConfig),
            model=new.model.name,
            dt=f"{resolution.dt_us}us",
            method=resolution.method,
            normalisation=resolution.normalisation,
        )
        text = msgspec.json.encode(settings)
        self._begin = msgspec.structs.replace(
            self._begin,
            session=secrets.randbits(63),
            engine=new.engine.name,
            model_sha256=new.model.sha256,
            settings_sha256=digest_of(text),
            settings=text.decode(),
        )
        self._try(lambda: self._writer.begin(self._first_of(self._begin)))

    def restored(self, stream: FeedStream, served: Deployment) -> None:
        """See `Recorder`; it is taken up before its next message."""
        self._awaited[stream.name] = Awaited(stream, served, whole=True)

    def tick(self) -> None:
        """Have written what has been gathered for a second."""
        now_s = self._clock_s()
        if now_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = now_s
            self._try(self._writer.flush)

    def close(self) -> None:
        """Finish the last file."""
        try:
            self._writer.close()
        except OSError as error:
            self._log.error("journal_stopped", reason=error.strerror or str(error))

    def sync(self) -> None:
        """Wait until all that has been recorded so far is with the system, or could not be."""
        self._writer.sync()

    def _first_of(self, begin: Begin) -> Callable[[int], bytes]:
        """Return what makes the first record of each file of a session."""

        def first(number: int) -> bytes:
            framed = bytearray()
            append_record(msgspec.structs.replace(begin, number=number), framed)
            return bytes(framed)

        return first

    def _new_run(self) -> int:
        self._next_run += 1
        return self._next_run - 1

    def _take_up(self, stream: str) -> None:
        """Begin with a stream that was open before, if it can be told from here on."""
        awaited = self._awaited.get(stream)
        # Many streams at once must not be what stops the journal.
        if awaited is None or self._stopped or not self._writer.at_ease or not awaited.ready():
            return
        try:
            state = stand_of(awaited)
        except RunError:
            return  # its own next look finds the same, and ends it
        del self._awaited[stream]
        if not self._writer.takes(2 * len(state)):
            return  # nor may one that is huge
        run = self._new_run()
        self._runs[stream] = run
        resumed = Resumed(run, awaited.stream.decided_as, len(state))
        self._record(stream, lambda _: resumed)
        for begin in range(0, len(state), PART_BYTES):
            part = Part(run, state[begin : begin + PART_BYTES])
            self._record(stream, lambda _, part=part: part)  # type: ignore[misc]

    def _record(self, stream: str, record_of: Callable[[int], Record]) -> None:
        run = self._runs.get(stream)
        if run is None:
            self.dropped += 1
            return
        framed = bytearray()
        append_record(record_of(run), framed)
        self._try(lambda: self._writer.put(framed))
        self.records += not self._stopped
        self.dropped += self._stopped

    def _try(self, write: Callable[[], None]) -> None:
        if self._stopped:
            return
        try:
            write()
        except OSError as error:
            # Of what is open now something is missing: to go on would be to record a falsehood.
            self._runs.clear()
            self._ended = "", None
            self._stopped = True
            self._refused_s = self._clock_s()
            self.failures += 1
            self._log.error("journal_stopped", reason=error.strerror or str(error))
