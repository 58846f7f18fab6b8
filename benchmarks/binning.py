"""Binning against NumPy: the same events into bins of 1 ms, all in turn in one process.

    python -m benchmarks.binning

`np.bincount` and `np.add.at` are given what the kernel has to work out: the place of every event,
without bounds, lateness or mask.
"""

import platform
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import numba
import numpy as np
from numpy.typing import NDArray

from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.layout import BinLayout, layout_of
from retempo.runtime.rows import RowBinner
from retempo.sensors.events import EventChunk

ROUNDS = 9
EVENTS = 20_000_000
RATE_HZ = 10_000_000
DT_US = 1_000
CHUNK = 1 << 16
LATENESS_US = 2_000
# What the kernel reads of an event: time, x, y and polarity.
EVENT_BYTES = 8 + 2 + 2 + 1
# Places that np.bincount holds at once: beyond them its counts would not fit into memory.
_PLACES = 1 << 24

Run = Callable[[], int]


class Scene:
    """Events of a sensor as chunks and as columns, all uniform; a hundredth of it is masked."""

    def __init__(self, width: int, height: int) -> None:
        rng = np.random.default_rng(0)
        self.name = f"{height}x{width}x2"
        self.inputs = width * height * 2
        t_us = np.sort(rng.integers(0, EVENTS * 1_000_000 // RATE_HZ, EVENTS))
        x = rng.integers(0, width, EVENTS).astype(np.uint16)
        y = rng.integers(0, height, EVENTS).astype(np.uint16)
        on = rng.random(EVENTS) < 0.5
        spec = InputSpec(GridSpec(width, height, 2))
        self.plain = layout_of(spec)
        self.masked = layout_of(spec, rng.random((height, width)) < 0.01)
        self.chunks = [
            EventChunk(t_us[k:j], int(t_us[j - 1]), x[k:j], y[k:j], on[k:j])
            for k in range(0, EVENTS, CHUNK)
            for j in (min(k + CHUNK, EVENTS),)
        ]
        self.bins = t_us // DT_US
        self.inputs_at: NDArray[np.int64] = (on * np.int64(height) + y) * width + x

    def places(self, most: int) -> list[NDArray[np.int64]]:
        """Where each event belongs, a stretch of `most` bins at a time."""
        edges = np.searchsorted(self.bins, np.arange(0, self.bins[-1] + most, most))
        return [
            (self.bins[a:b] - self.bins[a]) * self.inputs + self.inputs_at[a:b]
            for a, b in pairwise(edges)
        ]


def fed(kind: type[Binner | RowBinner], scene: Scene, layout: BinLayout) -> Run:
    """A binner, fed with all chunks; bounds and lateness are on."""

    def run() -> int:
        counters = Counters()
        binner = kind(layout, DT_US, counters, LATENESS_US)
        for chunk in scene.chunks:
            for _ in binner.feed(chunk):
                pass
        return counters.received

    return run


def by_bincount(places: list[NDArray[np.int64]]) -> Run:
    """np.bincount of ready places."""

    def run() -> int:
        for part in places:
            np.bincount(part)
        return sum(map(len, places))

    return run


def by_add_at(places: list[NDArray[np.int64]], inputs: int) -> Run:
    """np.add.at of ready places into one row, a bin at a time."""
    row = np.zeros(inputs, np.float32)

    def run() -> int:
        for part in places:
            np.add.at(row, part, np.float32(1.0))
            row[:] = 0.0
        return sum(map(len, places))

    return run


def read_limit() -> float:
    """Return the bytes a second at which one core sums a long array, the best of some rounds."""
    long = np.ones(1 << 25, np.int64)
    long.sum()
    times = []
    for _ in range(5):
        began = perf_counter()
        long.sum()
        times.append(perf_counter() - began)
    return long.nbytes / min(times)


def rates(runs: dict[str, Run]) -> dict[str, NDArray[np.float64]]:
    """Events a second of every run, `(rounds,)`, in turn; the first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):
        for name, run in runs.items():
            began = perf_counter()
            events = run()
            found[name].append(events / (perf_counter() - began))
    return {name: np.array(values[1:]) for name, values in found.items()}


def measure(scene: Scene, limit: float) -> None:
    """Print a row for each run of a scene."""
    many, singly = scene.places(max(_PLACES // scene.inputs, 1)), scene.places(1)
    measured = rates(
        {
            "lists": fed(Binner, scene, scene.plain),
            "lists, mask": fed(Binner, scene, scene.masked),
            "rows": fed(RowBinner, scene, scene.plain),
            "rows, mask": fed(RowBinner, scene, scene.masked),
            "np.bincount": by_bincount(many),
            "np.bincount, bin by bin": by_bincount(singly),
            "np.add.at, bin by bin": by_add_at(singly, scene.inputs),
        }
    )
    rival = measured["np.bincount"]
    for name, found in measured.items():
        ratios = found / rival
        low, high = np.percentile(ratios, (10, 90))
        share = f"{np.median(found) * EVENT_BYTES / limit:.0%}" if "np." not in name else ""
        print(
            f"| {scene.name} | {name} | {np.median(found) / 1e6:.0f} "
            f"| {np.median(ratios):.2f} ({low:.2f} to {high:.2f}) | {share} |"
        )


def main() -> None:
    """Measure bins that stay in the cache and bins that do not."""
    limit = read_limit()
    print(
        "# Binning\n\n"
        "    make bench    # python -m benchmarks.binning\n\n"
        f"{EVENTS // 10**6} M events at {RATE_HZ // 10**6} Mev/s into bins of {DT_US} us, all in "
        f"turn in one process, {ROUNDS} rounds; the ratio is\nthe median over rounds (10th to 90th "
        f"percentile). `lists` are `Binner`, `rows` are `RowBinner`, fed with\nchunks of {CHUNK:,} "
        f"events, bounds and {LATENESS_US} us of lateness on. NumPy is given the place of every "
        "event,\nwithout bounds, lateness or mask. Of memory an event is read as "
        f"{EVENT_BYTES} bytes; the share is of what one\ncore reads here, {limit / 1e9:.1f} GB/s. "
        f"numba {numba.__version__}, numpy {np.__version__}, {platform.machine()}.\n\n"
        "| bins | by | Mev/s | ratio to np.bincount | memory |\n|---|---|---|---|---|"
    )
    for width, height in ((64, 48), (640, 480)):
        measure(Scene(width, height), limit)


if __name__ == "__main__":
    main()
