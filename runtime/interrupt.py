"""A live source that ends properly when its process is told to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from retempo.sensors.events import Source, live_of

_TAKEN = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Ending:
    """Whether a signal has asked a live source to end."""

    asked: bool = False


@contextmanager
def ended_by_signals(source: Source) -> Iterator[Ending]:
    """Let the first SIGINT or SIGTERM end a live source, and the second one the process.

    So whoever iterates the source comes to its end and can say so; a recorded source is left to
    the signal's usual work. Outside the main thread, which alone may take signals, nothing changes.
    """
    live, ending = live_of(source), Ending()
    if live is None or threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = {number: signal.getsignal(number) for number in _TAKEN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(_number: int, _frame: FrameType | None) -> None:
        restore()
        ending.asked = True
        live.stop()

    for number in _TAKEN:
        signal.signal(number, end)
    try:
        yield ending
    finally:
        restore()
