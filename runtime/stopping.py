"""A source that ends when it is asked to: by a signal, or by the clock."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk, Source, live_of
from retempo.sensors.geometry import Geometry

_ASKING = (signal.SIGINT, signal.SIGTERM)
# How much later than its sensor's time a live source may tell that it has come.
_GRACE_S = 1.0
# What has arrived while somebody was busy with the chunk before is there at once.
_LEAST_S = 0.2


class _Asked(BaseException):
    """Raised in the wait for a source's next chunk; no `except Exception` shall stop it."""


@dataclass(slots=True)
class UntilStopped:
    """A source that ends at SIGINT or SIGTERM, and keeps what has arrived until then.

    A live source is told by its `stop`, and yields what it still has; another one is left where it
    waits. A second signal does what it would do without this. `limit_us` ends a source that has
    fallen silent: no chunk told of time going on, and the host's clock says that the sensor's time
    since its first event has passed the limit by a second. A source that fails behind its first
    event ends too: `error` is its complaint. Outside the main thread, where no signals arrive, only
    that is left.

    Iterating raises:
        SensorError: the source fails before its first event.
    """

    source: Source
    limit_us: int | None = None
    asked: bool = False
    error: SensorError | None = None

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def geometry(self) -> Geometry:
        """The addresses of the source."""
        return self.source.geometry

    def __iter__(self) -> Iterator[EventChunk]:
        live = live_of(self.source)
        waiting = False
        chunk: EventChunk | None = None
        events = 0
        self.asked, self.error = False, None

        def end() -> None:
            if live is not None:
                live.stop()
            elif waiting:
                raise _Asked

        def ask() -> None:
            self.asked = True
            end()

        silence = _Silence(self.limit_us)
        chunks = iter(self.source)
        with _asking(ask, end) as wait_at_most:
            try:
                while True:
                    wait_at_most(silence.patience_s)
                    # From here on `end` interrupts; what was asked before is seen in the next line.
                    chunk, waiting = None, True
                    if self.asked and live is None:
                        return
                    chunk = next(chunks, None)
                    waiting = False
                    wait_at_most(None)
                    if chunk is None:
                        return
                    events += len(chunk)
                    silence.look_at(chunk)
                    yield chunk
            except _Asked:
                # Asked between the arrival of a chunk and its being handed on.
                if chunk is not None:
                    yield chunk
            except SensorError as error:
                if events == 0:
                    raise
                self.error = error


class _Silence:
    """How long a source may go on telling nothing new before its time is over."""

    def __init__(self, limit_us: int | None) -> None:
        self._limit_us = limit_us
        self._zero_us: int | None = None
        self._told_us: int | None = None
        self._until_s = 0.0 if limit_us is None else _in_s(limit_us)

    @property
    def patience_s(self) -> float | None:
        """For how long the next chunk may be waited for, None for ever."""
        if self._limit_us is None:
            return None
        return max(_LEAST_S, self._until_s - time.monotonic())

    def look_at(self, chunk: EventChunk) -> None:
        """Be patient anew where a chunk tells of time going on since the first event."""
        if self._limit_us is None:
            return
        if self._zero_us is None and len(chunk):
            self._zero_us = int(chunk.t_us[0])
        if self._zero_us is None or chunk.t_end_us == self._told_us:
            return
        self._told_us = chunk.t_end_us
        self._until_s = _in_s(max(0, self._zero_us + self._limit_us - chunk.t_end_us))


def _in_s(span_us: int) -> float:
    return time.monotonic() + span_us * 1e-6 + _GRACE_S


@contextmanager
def _asking(
    ask: Callable[[], None], end: Callable[[], None]
) -> Iterator[Callable[[float | None], None]]:
    """Have one signal call `ask`; yields what sets the time, in seconds, after which to `end`."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda _seconds: None
        return
    before = {number: signal.getsignal(number) for number in (*_ASKING, signal.SIGALRM)}
    timer = signal.getitimer(signal.ITIMER_REAL)
    timed = False

    def asked(number: int, frame: FrameType | None) -> None:
        del number, frame
        for each in _ASKING:
            signal.signal(each, before[each])
        ask()

    def alarmed(number: int, frame: FrameType | None) -> None:
        del number, frame
        end()

    def wait_at_most(seconds: float | None) -> None:
        nonlocal timed
        if seconds is not None and not timed:
            signal.signal(signal.SIGALRM, alarmed)
            timed = True
        if timed:
            signal.setitimer(signal.ITIMER_REAL, seconds or 0.0)

    for number in _ASKING:
        signal.signal(number, asked)
    try:
        yield wait_at_most
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before[signal.SIGALRM])
            signal.setitimer(signal.ITIMER_REAL, *timer)
        for number in _ASKING:
            signal.signal(number, before[number])


@contextmanager
def unwinding() -> Iterator[None]:
    """Let SIGTERM unwind the program as SIGINT does, so that nothing unfinished is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
