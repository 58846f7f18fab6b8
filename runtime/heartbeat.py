"""Whether the daemon's loop turns: told by the loop, asked by whoever watches it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace


class Heartbeat:
    """The last sign of life of a loop.

    One thread beats, others read: each of them reads or writes a single number at a time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.beats = 0
        self.stopping = False
        self._last_s = clock()

    def beat(self) -> None:
        """Say that the loop has come round."""
        self._last_s = self.clock()
        self.beats += 1

    def age_s(self) -> float:
        """Return for how long nothing has been heard of the loop."""
        return max(0.0, self.clock() - self._last_s)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watcher knows of a loop: the beats it has seen, and for how long there were no more.

    `still_s` is time that the watcher itself has lived through. A process that was stopped, or a
    machine that slept, is not stuck: neither of the two has run.
    """

    beats: int = 0
    still_s: float = 0.0


def look(watch: Watch, beats: int, elapsed_s: float, period_s: float) -> Watch:
    """Return what a watcher knows after another look.

    Args:
        watch: what it knew.
        beats: how often the loop has come round.
        elapsed_s: since the last look.
        period_s: how long it meant to wait between two looks.
    """
    if beats != watch.beats:
        return Watch(beats)
    return replace(watch, still_s=watch.still_s + min(elapsed_s, 2 * period_s))
