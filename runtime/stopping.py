"""A source that ends when it is asked to: by a signal, or by the clock."""

import signal
import threading
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

        def ask() -> None:
            self.asked = True
            if live is not None:
                live.stop()
            elif waiting:
                raise _Asked

        with _asking(ask) as wait_at_most:
            silence = _Silence(self.limit_us)
            chunks = iter(self.source)
            wait_at_most(silence.patience_s)
            try:
                while True:
                    # From here on `ask` interrupts; what it said before is seen in the next line.
                    chunk, waiting = None, True
                    if self.asked and live is None:
                        return
                    chunk = next(chunks, None)
                    waiting = False
                    if chunk is None:
                        return
                    events += len(chunk)
                    if silence.broken_by(chunk):
                        wait_at_most(silence.patience_s)
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
    """How long a source may tell nothing new before its time is over."""

    def __init__(self, limit_us: int | None) -> None:
        self._limit_us = limit_us
        self._zero_us: int | None = None
        self._told_us: int | None = None
        self.patience_s = None if limit_us is None else limit_us * 1e-6 + _GRACE_S

    def broken_by(self, chunk: EventChunk) -> bool:
        """Return whether a chunk tells of time going on since the first event."""
        if self._limit_us is None:
            return False
        if self._zero_us is None and len(chunk):
            self._zero_us = int(chunk.t_us[0])
        if self._zero_us is None:
            return False
        if self._told_us is not None and chunk.t_end_us <= self._told_us:
            return False
        self._told_us = chunk.t_end_us
        left_us = max(0, self._zero_us + self._limit_us - chunk.t_end_us)
        self.patience_s = left_us * 1e-6 + _GRACE_S
        return True


@contextmanager
def _asking(ask: Callable[[], None]) -> Iterator[Callable[[float | None], None]]:
    """Have signals call `ask`, once; yields what sets the alarm to do so too, in seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda _seconds: None
        return
    numbers = (*_ASKING, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    alarm_s, interval_s = signal.getitimer(signal.ITIMER_REAL)
    alarmed = False

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if number in _ASKING:
            for each in _ASKING:
                signal.signal(each, before[each])
        ask()

    def wait_at_most(seconds: float | None) -> None:
        nonlocal alarmed
        if seconds is not None:
            if not alarmed:
                signal.signal(signal.SIGALRM, handle)
            alarmed = True
            signal.setitimer(signal.ITIMER_REAL, seconds)

    for number in _ASKING:
        signal.signal(number, handle)
    try:
        yield wait_at_most
    finally:
        if alarmed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before[signal.SIGALRM])
            signal.setitimer(signal.ITIMER_REAL, alarm_s, interval_s)
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
