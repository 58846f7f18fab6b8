"""What the kernels of the EVT decoders carry from block to block, by its place in an array."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.int64]
Found = NDArray[np.int64]

# HIGH counts TIME_HIGH units since the clock's zero, wraps included, NONE before the first one;
# LOW holds the lower bits of the time. Y, BASE and BASE_ON are the row, the next x and the polarity
# of vectors. AWAITED is the word that must follow. TICKS says that TIME_HIGH is sent again and
# again, as sensors do; BEFORE is HIGH before the last jump of such a clock; UNSURE says that the
# clock went back and nothing has confirmed it yet; EARLY counts events before the first time.
HIGH: Final = 0
LOW: Final = 1
Y: Final = 2
BASE: Final = 3
BASE_ON: Final = 4
AWAITED: Final = 5
TICKS: Final = 6
BEFORE: Final = 7
UNSURE: Final = 8
EARLY: Final = 9
LAST: Final = 10
NONE: Final = -1

# What may be AWAITED; a word that is another one is BROKEN off from its group.
BROKEN: Final = -1
NOTHING: Final = 0
SECOND_12: Final = 1
THIRD_8: Final = 2
FIRST_CONTINUED: Final = 3
SECOND_CONTINUED: Final = 4
THIRD_CONTINUED: Final = 5

# The kinds of problems by their place in the counts; then which came first, how many events lie
# before it, at which word, and two numbers that say more.
PROBLEMS: Final = (
    "time_back",
    "time_hole",
    "partial_vector",
    "partial_continued",
    "no_base",
    "no_row",
    "unknown",
    "untimed",
    "outside",
)
TIME_BACK: Final = 0
TIME_HOLE: Final = 1
PARTIAL_VECTOR: Final = 2
PARTIAL_CONTINUED: Final = 3
NO_BASE: Final = 4
NO_ROW: Final = 5
UNKNOWN: Final = 6
UNTIMED: Final = 7
OUTSIDE: Final = 8
FIRST: Final = 9
KEPT: Final = 10
WORD: Final = 11
FROM: Final = 12
TO: Final = 13


def new_state() -> State:
    """Return the state before the first word."""
    state = np.zeros(11, np.int64)
    state[[HIGH, Y, BASE, BEFORE]] = NONE
    return state


def nothing_found() -> Found:
    """Return counts of no problem."""
    found = np.zeros(14, np.int64)
    found[FIRST] = NONE
    return found
