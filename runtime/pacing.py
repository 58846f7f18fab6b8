"""A recording handed on at the sensor's own pace, or a multiple of it."""

import time
from collections.abc import Callable, Iterable, Iterator

from retempo.runtime.slices import LONGEST_SILENCE_US, slices
from retempo.sensors.events import EventChunk

# A thousand chunks a second keep the added latency under 1 ms at a few per cent of a core.
_SLICE_S = 1e-3
# A fast replay of a sparse stream still hands over what is silent in steps of this length.
_LONGEST_SLICE_US = 50_000

# Told by how much event time leaps.
OnLeap = Callable[[int], None]


def paced(
    chunks: Iterable[EventChunk],
    speed: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_leap: OnLeap = lambda _: None,
) -> Iterator[EventChunk]:
    """Yield a stream in slices of event time, each when a live sensor would have handed it over.

    Deadlines count from the first event, so that nothing drifts; silence is yielded as slices
    without events. What is silent for more than `LONGEST_SILENCE_US` is not waited for: nobody can
    tell such a pause from a corrupt time, and no daemon steps it.

    Args:
        chunks: a stream in its order.
        speed: how much faster than the sensor; 1 is its own pace.
        clock: seconds.
        sleep: waits seconds.
        on_leap: told how many microseconds of event time are not waited for.
    """
    slice_us = min(_LONGEST_SLICE_US, max(1, round(speed * _SLICE_S * 1e6)))
    began_s, zero_us, before_us = clock(), None, 0
    for due in slices(chunks, slice_us):
        if zero_us is None:
            # The pace begins with the first event, wherever in its slice that lies.
            zero_us = int(due.chunk.t_us[0]) if len(due.chunk) else due.due_us - slice_us
        elif due.due_us - before_us > LONGEST_SILENCE_US:
            leap_us = due.due_us - before_us - slice_us
            zero_us += leap_us
            on_leap(leap_us)
        before_us = due.due_us
        ahead_s = began_s + (due.due_us - zero_us) / (speed * 1e6) - clock()
        if ahead_s > 0:
            sleep(ahead_s)
        yield due.chunk
