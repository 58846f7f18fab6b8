"""Input adaptation: the network keeps its time step, and the bins are made to fit it.

The alternative that arXiv 2411.04760 compares parameter adaptation with. A coarse bin is spread
over the source bins that it covers, fine bins are gathered into one. It costs no accuracy of the
network, but a step a source bin: information that a coarse bin has lost, or time that fine bins
had gained.
"""

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.layout import BinLayout, Bins
from retempo.runtime.recorded import numbered_rows
from retempo.sensors.events import EventChunk

EXPANDING = ("repeat", "pad_zeros")
COMBINING = ("sum", "binary", "max", "mean")


def expand(bins: Bins, n: int, how: str) -> Bins:
    """Return `n` bins for each one.

    `repeat` gives each of them an `n`-th of the input; `pad_zeros` gives the first of them all.

    Shapes: `bins` `(bins, inputs)`, the result `(bins * n, inputs)`.

    Raises:
        InputError: `how` is unknown, or `n` is not 1 or more.
    """
    _check(how, EXPANDING, n)
    if how == "repeat":
        shared: Bins = np.repeat(bins / np.float32(n), n, axis=0)
        return shared
    spread = np.zeros((len(bins), n, bins.shape[1]), np.float32)
    spread[:, 0] = bins
    return spread.reshape(-1, bins.shape[1])


def combine(bins: Bins, n: int, how: str) -> Bins:
    """Return one bin for each `n`: their `sum`, `max` or `mean`, or by `binary` 1 if any is not 0.

    What is missing of the last `n` is silence.

    Shapes: `bins` `(bins, inputs)`, the result `(ceil(bins / n), inputs)`.

    Raises:
        InputError: `how` is unknown, or `n` is not 1 or more.
    """
    _check(how, COMBINING, n)
    missing = -len(bins) % n
    whole = np.concatenate([bins, np.zeros((missing, bins.shape[1]), np.float32)])
    groups = whole.reshape(-1, n, bins.shape[1])
    match how:
        case "sum":
            gathered = groups.sum(axis=1)
        case "binary":
            gathered = groups.any(axis=1)
        case "max":
            gathered = groups.max(axis=1)
        case _:
            gathered = groups.mean(axis=1)
    return np.asarray(gathered, np.float32)


def check_way(how: str) -> None:
    """Check the name of an input adaptation.

    Raises:
        InputError: it is unknown.
    """
    _check(how, EXPANDING + COMBINING, 1)


def check_rebinning(dt_us: int, source_dt_us: int, how: str) -> None:
    """Check that bins of `dt_us` can be made into bins of `source_dt_us`.

    Raises:
        InputError: `how` is unknown or goes the other way, or neither step divides the other.
    """
    check_way(how)
    fine, coarse = sorted((dt_us, source_dt_us))
    if coarse % fine:
        raise InputError(
            f"input adaptation needs a whole ratio, got {dt_us} us for a network of {source_dt_us} "
            "us; adapt its parameters instead, with the method lag or substep"
        )
    wanted = EXPANDING if dt_us > source_dt_us else COMBINING
    if dt_us != source_dt_us and how not in wanted:
        raise InputError(
            f"input adaptation by {how} does not go from {dt_us} us to {source_dt_us} us; use "
            f"{', '.join(wanted)}"
        )


def rebin_recording(
    chunk: EventChunk, layout: BinLayout, dt_us: int, source_dt_us: int, how: str
) -> Bins:
    """Bin a recording at `dt_us` by the layout's bin mode and make source bins of that.

    Fine bins are gathered along the edges of source bins, so that gathering by the network's own
    bin mode gives its own bins (for `max` where the unit divides the fine bin). A rate, bin mode
    `mean`, is spread as the rate that it is.

    Returns:
        float32 `(source bins, inputs)`.

    Raises:
        InputError: see `check_rebinning`.
    """
    check_rebinning(dt_us, source_dt_us, how)
    numbers, bins = _numbered(chunk, layout, dt_us)
    if dt_us == source_dt_us or not len(bins):
        return bins
    if dt_us > source_dt_us:
        n = dt_us // source_dt_us
        spread = expand(bins, n, how)
        return spread * np.float32(n) if layout.spec.bin_mode == "mean" else spread
    n = source_dt_us // dt_us
    # Each source bin has its place, also behind a gap.
    groups, group = np.unique(numbers // n, return_inverse=True)
    aligned = np.zeros((len(groups) * n, layout.inputs), np.float32)
    aligned[group * n + numbers % n] = bins
    # A source bin that has not ended is binned only if it holds an event.
    ended = numbers[-1] % n == n - 1 or aligned[-n:].any()
    return combine(aligned if ended else aligned[:-n], n, how)


def _numbered(chunk: EventChunk, layout: BinLayout, dt_us: int) -> tuple[NDArray[np.int64], Bins]:
    numbers, rows = [np.zeros(0, np.int64)], [np.zeros((0, layout.inputs), np.float32)]
    for first, closed in numbered_rows(chunk, layout, dt_us, Counters()):
        numbers.append(np.arange(first, first + len(closed)))
        rows.append(closed.copy())
    return np.concatenate(numbers), np.concatenate(rows)


def _check(how: str, known: tuple[str, ...], n: int) -> None:
    if how not in known:
        raise InputError(f"unknown input adaptation {how!r}; known are {', '.join(known)}")
    if n < 1:
        raise InputError(f"a bin is made of at least 1 bin, got {n}")
