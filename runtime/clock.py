"""The host's clock, which only those read who own a loop: everybody else is given one."""

import time
from collections.abc import Callable

# Microseconds, from any instant on.
Clock = Callable[[], float]
_nanoseconds = time.perf_counter_ns


def host_clock_us() -> float:
    """Return the host's monotonic clock in microseconds."""
    return _nanoseconds() / 1e3
