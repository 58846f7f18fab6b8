"""Where the spikes that feedback waits for go when the time step changes under way.

A spike of age 1 was fired at the end of the last inner step, one of age `a` `(a - 1)` steps before.
At another step it keeps its instant; what would be older than the new lag is heard at once rather
than never, so that no reset is lost.
"""

import math

from retempo.exporters.resolution import Resolution


def inner_us(resolution: Resolution) -> float:
    """Return the length of an inner step."""
    return resolution.dt_us / resolution.substeps


def moved_ages(before: Resolution, after: Resolution) -> list[int]:
    """Return the age after the change of each age before it, from 1 to the lag, rounded up.

    Spikes that meet in one step are heard together, as often as they are.
    """
    ratio = inner_us(before) / inner_us(after)
    # Between two whole steps the older of the two hears only what the younger has left over.
    oldest = math.floor(after.lag)
    # A quotient of whole steps is whole, whatever the division leaves behind it.
    return [
        min(math.floor((age - 1) * ratio + 1e-9) + 1, oldest)
        for age in range(1, math.ceil(before.lag) + 1)
    ]
