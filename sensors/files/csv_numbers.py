"""Numbers and words in text, read exactly by compiled kernels.

Their plain twins are Python's own fractions, in `csv_lines.read_line`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

LATEST = (1 << 63) - 1
MOST_EXPONENT = 99_999

# The last number to which one more digit can be joined within 64 bits.
_JOINABLE = np.uint64((2**64 - 1 - 9) // 10)
_DIGITS = 19
_POWERS = np.array([10**power for power in range(_DIGITS + 1)], np.uint64)


@njit(cache=True, nogil=True)
def word(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """1 for true, 0 for false, -1 for anything else, whatever the case."""
    if stop - start == 4:
        letters, value = (116, 114, 117, 101, 0), 1
    elif stop - start == 5:
        letters, value = (102, 97, 108, 115, 101), 0
    else:
        return -1
    for place in range(stop - start):
        if data[start + place] | 32 != letters[place]:
            return -1
    return value


@njit(cache=True, nogil=True)
def digits(
    data: NDArray[np.uint8], start: int, stop: int
) -> tuple[bool, bool, np.uint64, int, bool]:
    """Whether a cell is a number, its sign, digits and power of ten, and whether any were lost."""
    mantissa, ten = np.uint64(0), np.uint64(10)
    exponent, seen = 0, 0
    negative = lost = point = False
    at = start
    if at < stop and (data[at] == 43 or data[at] == 45):
        negative = data[at] == 45
        at += 1
    while at < stop:
        byte = data[at]
        if 48 <= byte <= 57:
            seen += 1
            if mantissa <= _JOINABLE:
                mantissa = mantissa * ten + np.uint64(byte - 48)
                exponent -= point
            else:
                lost = lost or byte != 48
                exponent += not point
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    if seen == 0:
        return False, negative, mantissa, exponent, lost
    if at < stop and (data[at] | 32) == 101:
        at += 1
        down = False
        if at < stop and (data[at] == 43 or data[at] == 45):
            down = data[at] == 45
            at += 1
        stated, any_digit = 0, False
        while at < stop and 48 <= data[at] <= 57:
            stated = min(stated * 10 + (data[at] - 48), MOST_EXPONENT)
            any_digit = True
            at += 1
        if not any_digit:
            return False, negative, mantissa, exponent, lost
        exponent += -stated if down else stated
    return at == stop, negative, mantissa, exponent, lost


@njit(cache=True, nogil=True)
def scaled(mantissa: np.uint64, exponent: int, lost: bool) -> tuple[bool, bool, int, int]:
    """A number's whole part: whether 63 bits hold it, whether it is exact, it, and the rest.

    The rest is 0 below a half, 1 at it and 2 above.
    """
    latest, ten = np.uint64(LATEST), np.uint64(10)
    if mantissa == np.uint64(0):
        return True, True, 0, 0
    if exponent >= 0:
        for _ in range(exponent):
            if mantissa > latest // ten:
                return False, True, 0, 0
            mantissa *= ten
        fits = bool(mantissa <= latest)
        return fits, not lost, int(np.int64(mantissa)) if fits else LATEST, 0
    if -exponent > _DIGITS:
        return True, False, 0, 0
    power = _POWERS[-exponent]
    value, rest = mantissa // power, mantissa % power
    exact = bool(rest == np.uint64(0) and not lost)
    other = power - rest
    half = 2 if rest > other or (rest == other and lost) else 1 if rest == other else 0
    fits = bool(value <= latest)
    # The smaller of two unsigned numbers would go through a float, which rounds beyond 53 bits.
    return fits, exact, int(np.int64(value)) if fits else LATEST, half
