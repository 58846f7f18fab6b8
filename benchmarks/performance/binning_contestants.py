"""Who bins: functions from events to how many of them they have counted."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from benchmarks.performance.event_streams import GEOMETRY, Events
from benchmarks.performance.measure import Run
from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.binner import Binner
from retempo.runtime.binning import BINNED, FOREVER, MASKED, bin_events, new_counts
from retempo.runtime.counters import Counters
from retempo.runtime.layout import layout_of
from retempo.runtime.reused_bins import ReusedBins
from retempo.runtime.rows import RowBinner

DT_US = 1_000
STEP = 10
WIDTH, HEIGHT = GEOMETRY.width // STEP, GEOMETRY.height // STEP
_HOT = 300


@dataclass(frozen=True, slots=True)
class Contestant:
    """How the run is made, and whether it gets the short events, since it, or its form, is slow."""

    make: Callable[[Events], Run]
    short: bool = False


def _layout(step: int, *, masked: bool) -> Any:
    mask = None
    if masked:
        mask = np.zeros((GEOMETRY.height, GEOMETRY.width), np.bool_)
        hot = np.random.default_rng(1).integers(0, mask.size, _HOT)
        mask.reshape(-1)[hot] = True
    return layout_of(InputSpec(GridSpec(GEOMETRY.width, GEOMETRY.height, 2), downsample=step), mask)


def stream(kind: type[Binner] | type[RowBinner]) -> Callable[[Events], Run]:
    """What a stream goes through, chunk by chunk, with bounds, lateness and mask."""

    def make(events: Events) -> Run:
        layout, chunks = _layout(STEP, masked=True), events.chunks

        def run() -> object:
            counters = Counters()
            binned = kind(layout, DT_US, counters, lateness_us=DT_US)
            for chunk in chunks:
                for _ in binned.feed(chunk):
                    pass
            for _ in binned.finish():
                pass
            return counters.binned + counters.masked

        return run

    return make


def kernel(step: int, *, masked: bool, dtype: Any = np.float32) -> Callable[[Events], Run]:
    """`bin_events` once, into a new array of all bins."""

    def make(events: Events) -> Run:
        layout = _layout(step, masked=masked)

        def run() -> object:
            counts, window = new_counts(), np.zeros((events.bins, layout.inputs), dtype)
            filled, time = np.zeros(events.bins, np.int64), (DT_US, 1, 1, events.bins, FOREVER)
            ours = (window, None, filled, counts)
            bin_events(events.columns, 0, 0, 0, *time, *layout.arrays, *ours)
            return int(counts[BINNED] + counts[MASKED])

        return run

    return make


def reused(events: Events) -> Run:
    """Recording after recording in one array; two take turns, lest one finds what it left there."""
    bins = ReusedBins(_layout(1, masked=False), DT_US)
    shifted = replace(events.chunk, y=(GEOMETRY.height - 1 - events.columns[2]).astype(np.uint16))
    turns = cycle((events.chunk, shifted))
    return lambda: int(bins.bin(next(turns))[1][BINNED])


def bincount_by_bin(events: Events) -> Run:
    """np.bincount on the events of each bin, so that all it touches stays in the cache."""
    t_us, x, y, on = events.columns

    def run() -> object:
        edges, total = np.searchsorted(t_us, np.arange(events.bins + 1) * DT_US), 0
        for begin, end in pairwise(edges.tolist()):
            rows = on[begin:end].astype(np.int32) * HEIGHT + y[begin:end] // STEP
            counted = np.bincount(rows * WIDTH + x[begin:end] // STEP, minlength=2 * HEIGHT * WIDTH)
            total += int(counted.sum())
        return total

    return run


def bincount_whole(events: Events) -> Run:
    """np.bincount in one call, as dense as the sensor."""
    t_us, x, y, on = events.columns
    size = 2 * GEOMETRY.height * GEOMETRY.width

    def run() -> object:
        rows = (t_us // DT_US * 2 + on) * GEOMETRY.height + y
        counted = np.bincount(rows * GEOMETRY.width + x, minlength=events.bins * size)
        return len(events) if len(counted) == events.bins * size else 0

    return run


def add_at(step: int) -> Callable[[Events], Run]:
    """np.add.at in one call."""
    width, height = GEOMETRY.width // step, GEOMETRY.height // step

    def make(events: Events) -> Run:
        t_us, x, y, on = events.columns

        def run() -> object:
            out = np.zeros(events.bins * 2 * height * width, np.int16)
            np.add.at(out, ((t_us // DT_US * 2 + on) * height + y // step) * width + x // step, 1)
            return len(events)

        return run

    return make


def tonic_frames(step: int) -> Callable[[Events], Run]:
    """tonic ToFrame; the addresses are divided before the clock starts."""

    def make(events: Events) -> Run:
        from tonic.transforms import ToFrame

        size = (GEOMETRY.width // step, GEOMETRY.height // step, 2)
        to_frames = ToFrame(sensor_size=size, time_window=DT_US, include_incomplete=True)
        given = events.structured(step)
        return lambda: len(to_frames(given))

    return make


def evlib_histogram(step: int) -> Callable[[Events], Run]:
    """evlib's dense stacked histogram, its int64 columns made before the clock starts."""

    def make(events: Events) -> Run:
        from evlib import representations_rs

        t_us, x, y, on = (column.astype(np.int64) for column in events.columns)
        ends = np.arange(1, events.bins + 1, dtype=np.int64) * DT_US
        rows, columns = np.arange(GEOMETRY.height) // step, np.arange(GEOMETRY.width) // step
        height, width = GEOMETRY.height // step, GEOMETRY.width // step
        make_bins = representations_rs.stacked_histogram_dense
        return lambda: make_bins(t_us, x, y, on, ends, DT_US, 1, 255, rows, columns, height, width)

    return make


def dv_slicer(events: Events) -> Run:
    """dv-processing: its slicer, and np.bincount on each slice; its stores are made beforehand."""
    import dv_processing as dv

    recording = dv.io.MonoCameraRecording(str(events.written("AEDAT4", ".aedat4")))
    stores = list(iter(recording.getNextEventBatch, None))

    def run() -> object:
        total = 0

        def count(store: Any) -> None:
            nonlocal total
            at, on = store.coordinates(), store.polarities()
            rows = on.astype(np.int32) * HEIGHT + at[:, 1] // STEP
            counted = np.bincount(rows * WIDTH + at[:, 0] // STEP, minlength=2 * HEIGHT * WIDTH)
            total += int(counted.sum())

        slicer = dv.EventStreamSlicer()
        slicer.doEveryTimeInterval(datetime.timedelta(microseconds=DT_US), count)
        for store in stores:
            slicer.accept(store)
        return total

    return run


def eventcv_windows(step: int) -> Callable[[Events], Run]:
    """EventCV's reader, whose decoder feeds its histograms directly; the decoding is within."""

    def make(events: Events) -> Run:
        import eventcv

        path = str(events.written("EVT2", ".raw"))

        def run() -> object:
            how = {"repr": "polarity", "downsample": step} if step > 1 else {"repr": "polarity"}
            reader = eventcv.open(path, dt_us=DT_US, **how)
            return sum(frame.numpy().size for frame in reader.windows())

        return run

    return make


def faery_regular(events: Events) -> Run:
    """faery: its stream in packets of one bin, and np.bincount on each."""
    import faery

    t_us, x, y, on = events.columns
    array = np.empty(len(events), faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = t_us, x, y, on
    size = (GEOMETRY.width, GEOMETRY.height)

    def run() -> object:
        total = 0
        stream = faery.events_stream_from_array(array, dimensions=size)
        for packet in stream.regularize(frequency_hz=1e6 / DT_US):
            rows = packet["on"].astype(np.int32) * HEIGHT + packet["y"] // STEP
            counted = np.bincount(rows * WIDTH + packet["x"] // STEP, minlength=2 * HEIGHT * WIDTH)
            total += int(counted.sum())
        return total

    return run


# The first is ours, that the ratios are of.
SMALL: dict[str, Contestant] = {
    "retempo, rows": Contestant(stream(RowBinner)),
    "retempo, lists": Contestant(stream(Binner)),
    "retempo, kernel whole": Contestant(kernel(STEP, masked=True)),
    "np.bincount, bin by bin": Contestant(bincount_by_bin),
    "np.add.at": Contestant(add_at(STEP)),
    "tonic ToFrame": Contestant(tonic_frames(STEP)),
    "evlib": Contestant(evlib_histogram(STEP)),
    "dv-processing, np.bincount": Contestant(dv_slicer, short=True),
    "eventcv, EVT2 file": Contestant(eventcv_windows(STEP)),
    "faery, np.bincount": Contestant(faery_regular, short=True),
}
DENSE: dict[str, Contestant] = {
    "retempo, int16": Contestant(kernel(1, masked=False, dtype=np.int16)),
    "retempo, uint8": Contestant(kernel(1, masked=False, dtype=np.uint8)),
    "retempo, float32": Contestant(kernel(1, masked=False)),
    "retempo, float32 reused": Contestant(reused),
    "np.bincount": Contestant(bincount_whole),
    "np.add.at": Contestant(add_at(1)),
    "tonic ToFrame": Contestant(tonic_frames(1)),
    "evlib": Contestant(evlib_histogram(1)),
    "eventcv, EVT2 file": Contestant(eventcv_windows(1)),
}
