"""How a sensor's clock runs against the host's: offset and drift, seen through the transport.

A message with the watermark `s` that arrives at `h` says `h - s = offset + drift s + delay`, and no
delay is negative. So the line that lies under all points, and under their middle as high as it can,
is that of the clocks, however heavy the tail of the delays is (S. B. Moon, P. Skelly, D. Towsley,
Estimation and removal of clock skew from network delay measurements, INFOCOM 1999).
"""

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise

# Of each second of the sensor's clock the least delayed message counts.
BUCKET_US = 1_000_000
# The line follows a clock whose drift changes with its temperature.
BUCKETS = 256


@dataclass(slots=True)
class ClockMap:
    """The least delayed messages of one stream, and the line under them.

    All times are in microseconds. A stream that is not sent at its sensor's pace has an offset and
    a drift as well: they then tell of the pace.
    """

    _points: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=BUCKETS))
    _bucket: int | None = None
    _latest_us: int = 0
    # Before this instant only a message that is less delayed says something new.
    _until_us: int = 0
    _least_us: float = 0.0

    def copy(self) -> "ClockMap":
        """Return a copy, whose line another thread may look for."""
        return replace(self, _points=self._points.copy())

    def observe(self, t_end_us: int, arrived_us: float) -> None:
        """Take a message: its watermark, and when it arrived on the host's clock."""
        apart_us = arrived_us - t_end_us
        if self._bucket is None or t_end_us > self._latest_us:
            self._latest_us = t_end_us
        if self._bucket is not None and t_end_us < self._until_us and apart_us >= self._least_us:
            return
        bucket = t_end_us // BUCKET_US
        if self._bucket is None or bucket > self._bucket:
            self._bucket, self._until_us = bucket, (bucket + 1) * BUCKET_US
            self._points.append((t_end_us, apart_us))
        elif bucket == self._bucket:
            self._points[-1] = (t_end_us, apart_us)
        self._least_us = self._points[-1][1]

    @property
    def offset_us(self) -> float | None:
        """The host's clock less the sensor's, at the latest message; None before the first."""
        if not self._points:
            return None
        (x, y), slope = self._line()
        return y + slope * (self._latest_us - x)

    @property
    def drift_ppm(self) -> float | None:
        """By how much the host's clock runs faster, in microseconds a second of the sensor's.

        None until messages of two different seconds have come.
        """
        return self._line()[1] * 1e6 if len(self._points) > 1 else None

    def _line(self) -> tuple[tuple[int, float], float]:
        """Return a point and the slope of the highest line below all points at their middle."""
        hull = _lower_hull(self._points)
        middle = sum(x for x, _ in self._points) / len(self._points)
        for (x0, y0), (x1, y1) in pairwise(hull):
            if x1 >= middle:
                return (x0, y0), (y1 - y0) / (x1 - x0)
        return hull[0], 0.0


def _lower_hull(points: "deque[tuple[int, float]]") -> list[tuple[int, float]]:
    hull: list[tuple[int, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    return hull
