"""When a bin is over for whoever replays a recording at the sensor's own pace.

The pace begins with the first event: it happens at `began_s` of the host's monotonic clock, and
any later instant of event time so much later. A bin closes at the instant at which that clock
reaches its end; until then nobody can know what it holds. The latency of a decision runs from
there to its arrival in the process that waits for it, on the same clock.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Of a stream: the start of its pace in seconds, its first and its last event in microseconds.
Pace = tuple[float, int, int]
# A stream's name, the end of a bin in microseconds, and when its decision came in seconds.
Arrival = tuple[str, int, float]


@dataclass(slots=True)
class Readings:
    """The monotonic clock, which remembers what it has said."""

    said: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        self.said.append(time.monotonic())
        return self.said[-1]


def closing_s(pace: Pace, t_us: int) -> float:
    """Return the instant at which a bin that ends at `t_us` is over."""
    began_s, first_us, _ = pace
    return began_s + (t_us - first_us) / 1e6


def latencies_us(paces: Mapping[str, Pace], arrivals: Sequence[Arrival]) -> NDArray[np.float64]:
    """Return how long after its bin's closing each decision has arrived.

    The bins that the end of a recording closes early are left out: they end after its last event.
    """
    return np.array(
        [
            (arrived_s - closing_s(paces[stream], t_us)) * 1e6
            for stream, t_us, arrived_s in arrivals
            if t_us <= paces[stream][2]
        ]
    )


def sleep_until(instant_s: float) -> None:
    """Wait for an instant of the monotonic clock, as the publisher does: by sleeping once."""
    left_s = instant_s - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)


def save(path: str, content: object) -> None:
    """Write what a process has to tell."""
    Path(path).write_text(json.dumps(content))


def load(path: Path, of: Callable[[object], object] = lambda row: row) -> object:
    """Read what a process has told."""
    return of(json.loads(path.read_text()))
