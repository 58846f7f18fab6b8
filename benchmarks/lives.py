"""What a daemon decides in each of its lives, and what it would have decided in one."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from retempo.runtime.deployment import Deployment
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk

_PATIENCE_S = 60.0

Key = tuple[str, int, int]
Essence = tuple[int, str, list[float], int, bool, dict[str, int]]


class Collector(threading.Thread):
    """Receives what one life of the daemon decides, after what was received before."""

    def __init__(self, endpoint: str, after: dict[str, tuple[int, int]]) -> None:
        super().__init__(daemon=True)
        self.received: list[tuple[Key, Essence]] = []
        self.first_s: float | None = None
        self.last: dict[str, tuple[int, int]] = after
        self._stopped = False
        self._decisions = Decisions(endpoint, timeout_s=_PATIENCE_S, after=after)

    def run(self) -> None:
        """Receive until stopped and nothing more has come."""
        with self._decisions as decisions:
            while True:
                stopped = self._stopped
                decision = decisions.receive(0.05)
                if decision is not None:
                    if self.first_s is None:
                        self.first_s = time.monotonic()
                    key = (decision.stream, decision.epoch, decision.sequence)
                    self.received.append((key, essence(decision)))
                elif stopped:
                    break
            self.last = decisions.last

    def stop(self) -> None:
        """Take what has arrived, and end."""
        self._stopped = True
        self.join()


def essence(decision: Any) -> Essence:
    """Return of a decision what no clock is in."""
    d = decision
    return (d.t_us, d.label, list(d.scores), d.dt_us, d.final, dict(d.counters))


def uninterrupted(
    deployment: Deployment, stream: str, epoch: int, chunks: Sequence[EventChunk]
) -> dict[Key, Essence]:
    """Decide a stream without a daemon."""
    pipeline = deployment.open(stream, deployment.geometry)
    told = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    decisions = [d for d in [*told, *pipeline.finish(0.0)] if d is not None]
    return {(stream, epoch, d.sequence): essence(d) for d in decisions}
