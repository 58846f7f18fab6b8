"""Events to bins of 1 ms: our kernels and rivals, on the same events of a VGA sensor."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.performance.binning_contestants import DENSE, SMALL, Contestant
from benchmarks.performance.event_streams import Events, generate
from benchmarks.performance.measure import built, in_turn, rate_sampler
from benchmarks.performance.pictures import bars
from benchmarks.performance.results import Part, Ratio, Table, ratio_of, spread

RATE_HZ = 10e6
SMALL_EVENTS, DENSE_EVENTS = 20_000_000, 2_000_000
# Of the columns: a time of 8 bytes, two addresses of 2, a polarity of 1.
EVENT_BYTES = 13
SMALL_TARGETS = {"np.bincount, bin by bin": 1.0, "tonic ToFrame": 25.0}
DENSE_TARGETS = {"tonic ToFrame": 8.0}
TEXT = """\
Events of a 640x480 sensor at {rate:.0f} Mev/s, half of them in runs along a row, cut into bins of
1 ms. Millions of events a second of wall time, medians over {rounds} rounds in turn with the 10th
to 90th percentile; all rivals run on one thread, but for evlib, which takes what it gets.

- 48x64x2: {small:,} events. `rows` and `lists` are what a stream goes through: chunks of 65,536
  events, bounds and lateness looked at for each, a mask of 300 pixels, 1 ms of lateness,
  downsampled by 10; `rows` is what np.bincount makes, a dense bin a millisecond, `lists` the
  active inputs of each as the engine `sparse` takes them. `kernel whole` is one call into a new
  array of all bins, with bounds and mask. Rivals check nothing and know the events to be in
  order. tonic and evlib get what they take (structured array, divided addresses; int64 columns)
  before the clock starts, dv-processing its stores; it and faery get {short:,} events. np.bincount
  works bin by bin, in the cache.
  EventCV decodes within, its file is in the page cache.
- 480x640x2, one dense array of all bins, new for each: {dense:,} events. Mostly it is the memory
  that takes time, so the ratios are of our int16, as those of tonic and np.add.at are; evlib's is
  uint8, np.bincount's int64. Our recordings are float32; `reused` is `runtime.reused_bins`, which
  clears what the recording before has touched, two in turn. EventCV yields window by window.

Reading memory one after the other goes at {limit:.1f} GB/s here (np.max of 512 MB). At 13 bytes an
event `rows` reads {read:.1f} GB/s of columns, {share:.0%} of that."""


def measure(folder: Path, _data: Path, *, quick: bool = False) -> Part:
    """Measure both sizes; `quick` is for the guard."""
    rounds = 4 if quick else 9
    with tempfile.TemporaryDirectory() as scratch:
        small = generate(SMALL_EVENTS, RATE_HZ, Path(scratch))
        dense = small.first(DENSE_EVENTS)
        tables, ratios, times = [], {}, {}
        for title, events, contestants, targets in (
            ("48x64x2", small, SMALL, SMALL_TARGETS),
            ("480x640x2", dense, DENSE, DENSE_TARGETS),
        ):
            table, found, timed = _compare(title, events, dense, contestants, targets, rounds)
            tables.append(table)
            ratios |= found
            times[title] = timed
    ours = next(iter(SMALL))
    limit, rate = memory_gb_s(), float(np.median(1.0 / times["48x64x2"][ours]))
    picture = bars(folder / "performance-binning.png", _rates(times["48x64x2"]), _OURS, "Mev/s")
    text = TEXT.format(
        rate=RATE_HZ / 1e6,
        rounds=rounds,
        small=len(small),
        short=len(dense),
        dense=len(dense),
        limit=limit,
        read=rate * EVENT_BYTES / 1e3,
        share=rate * EVENT_BYTES / 1e3 / limit,
    )
    return Part("Binning", text, tables, ratios, [picture])


_OURS = tuple(name for name in SMALL if name.startswith("retempo"))


def memory_gb_s() -> float:
    """Return how fast one core reads memory one after the other."""
    array = np.ones(64 << 20, np.int64)
    sample = rate_sampler(lambda: array.max(), array.nbytes)
    return float(1.0 / np.median([sample() for _ in range(5)]) / 1e3)


def _compare(
    title: str,
    events: Events,
    short: Events,
    contestants: Mapping[str, Contestant],
    targets: Mapping[str, float],
    rounds: int,
) -> tuple[Table, dict[str, Ratio], dict[str, np.ndarray]]:
    def maker(who: Contestant) -> Callable[[], Callable[[], float]]:
        given = short if who.short else events
        return lambda: rate_sampler(who.make(given), len(given))

    samplers, absent = built({name: maker(who) for name, who in contestants.items()})
    timed = in_turn(samplers, rounds)
    ours = next(iter(contestants))
    rows = [
        [name, spread(1.0 / values), f"{np.median(values / timed[ours]):,.1f}"]
        for name, values in timed.items()
    ]
    rows += [[name, f"not measured: {why}", ""] for name, why in absent.items()]
    ratios = {
        f"{title}, {ours} to {name}": ratio_of(values, timed[ours], targets.get(name))
        for name, values in timed.items()
        if not name.startswith("retempo")
    }
    columns = ["who", "Mev/s", f"times as long as `{ours}`"]
    return Table(f"{title} a millisecond", columns, rows), ratios, timed


def _rates(timed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: 1.0 / values for name, values in timed.items()}
