"""The highest value at which something still holds."""

from collections.abc import Callable

# So much lower than the start, nothing is looked for any more.
_LOWEST = 1 / 64


def highest(holds: Callable[[float], bool], start: float, within: float) -> float:
    """Return the highest value that holds, to a relative step; 0 where none is found.

    Args:
        holds: tried at one value after the other; what holds is taken to hold below, too.
        start: where to begin.
        within: the relative width at which the search ends.
    """
    low = high = start
    if holds(start):
        while holds(high := 2.0 * low):
            low = high
    else:
        while not holds(low := high / 2.0):
            high = low
            if low < _LOWEST * start:
                return 0.0
    while high / low > 1.0 + within:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
