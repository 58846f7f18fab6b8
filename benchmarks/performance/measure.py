"""Contestants timed in turn, round by round, so that whatever disturbs one disturbs all."""

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]
# Steps with the input of one bin.
Step = Callable[[int], object]
Rounds = dict[str, NDArray[np.float64]]


def in_turn(samplers: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Call every sampler once a round, beginning with another one each time.

    Returns:
        What each sampler has measured, `(rounds,)`.
    """
    names = list(samplers)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        gc.collect()
        gc.disable()
        for name in names[turn:] + names[:turn]:
            taken[name].append(samplers[name]())
        gc.enable()
    return {name: np.array(values) for name, values in taken.items()}


def step_sampler(step: Step, steps: int, bins_a_call: int = 1) -> Callable[[], float]:
    """Return what measures the median time of a step, in microseconds a bin.

    Args:
        step: called with 0, 1, 2, ... from round to round.
        steps: calls a round.
        bins_a_call: how many bins one call steps.
    """
    calls = 0
    for calls in range(20):
        step(calls)

    def sample() -> float:
        nonlocal calls
        clock, times_ns = time.perf_counter_ns, []
        for _ in range(steps):
            calls += 1
            began = clock()
            step(calls)
            times_ns.append(clock() - began)
        return float(np.median(times_ns)) / 1e3 / bins_a_call

    return sample


def rate_sampler(run: Run, events: int) -> Callable[[], float]:
    """Return what measures the seconds that a million events take; the first call warms up."""
    run()

    def sample() -> float:
        began = time.perf_counter()
        run()
        return (time.perf_counter() - began) * 1e6 / events

    return sample


def built(
    makers: Mapping[str, Callable[[], Callable[[], float]]],
) -> tuple[dict[str, Callable[[], float]], dict[str, str]]:
    """Make the samplers; who cannot take part is named with the reason, never left out in silence.

    Returns:
        The samplers, and why each of the others cannot be measured here.
    """
    samplers, absent = {}, {}
    for name, make in makers.items():
        try:
            samplers[name] = make()
        except Exception as error:  # noqa: BLE001  (a rival may fail in any way of its own)
            reason = next(iter(str(error).strip().splitlines()), "no reason given")
            absent[name] = f"{type(error).__name__}: {reason}"
    return samplers, absent
