"""What is measured: functions from a file to the number of events that they have decoded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.binning import FOREVER, bin_events, new_counts
from retempo.runtime.counters import Counters
from retempo.runtime.fused import bin_evt_file
from retempo.runtime.layout import BinLayout, layout_of
from retempo.sensors.files import open_recording

Run = Callable[[Path], int]

DT_US = 1_000
# About as many events as we decode at a time, which is best for the rival's cache, too.
_BATCH_BYTES = 1 << 18


def chunks(path: Path) -> int:
    """`open_recording`: what a user of Retempo gets, policy and watermarks included."""
    return sum(len(chunk) for chunk in open_recording(path))


def decoded(path: Path) -> int:
    """Our decoder alone."""
    return sum(len(columns) for columns in open_recording(path).opened.decode())


def by_evt3(path: Path) -> int:
    """evt3, the whole file at once, its fastest way."""
    import evt3

    return len(evt3.decode_file(str(path)))


def by_evt3_batches(path: Path) -> int:
    """evt3 in bounded memory, with the batch that it takes by default."""
    import evt3

    return sum(len(batch) for batch in evt3.decode_file_batches(str(path)))


def by_faery(path: Path) -> int:
    """faery, packet by packet."""
    import faery

    stream = faery.events_stream_from_file(path, dimensions_fallback=(1_280, 720))
    return sum(len(packet) for packet in stream)


def layout(path: Path) -> BinLayout:
    """64 columns of the sensor, both polarities."""
    geometry: Any = open_recording(path).geometry
    grid = GridSpec(geometry.width, geometry.height, 2)
    return layout_of(InputSpec(grid, downsample=geometry.width // 64))


def fused(path: Path) -> int:
    """Our fused decode, downsample and bin."""
    counters = Counters()
    for _ in bin_evt_file(path, layout(path), DT_US, counters):
        pass
    return counters.binned


def _evt3_columns(path: Path) -> Iterator[tuple[Any, Any, Any, Any]]:
    import evt3

    for batch in evt3.decode_file_batches(str(path), batch_bytes=_BATCH_BYTES):
        yield batch.t.view(np.int64), batch.x, batch.y, batch.p.view(np.bool_)


def _faery_columns(path: Path) -> Iterator[tuple[Any, Any, Any, Any]]:
    import faery

    for packet in faery.events_stream_from_file(path, dimensions_fallback=(1_280, 720)):
        yield (
            packet["t"].astype(np.int64),
            np.ascontiguousarray(packet["x"]),
            np.ascontiguousarray(packet["y"]),
            np.ascontiguousarray(packet["on"]),
        )


def _then_kernel(columns: Callable[[Path], Iterator[Any]]) -> Run:
    def run(path: Path) -> int:
        bins, counts = layout(path), new_counts()
        window = np.zeros((0, bins.inputs), np.float32)
        for t_us, x, y, on in columns(path):
            if not len(t_us):
                continue
            first = int(t_us[0]) // DT_US
            needed = int(t_us[-1]) // DT_US - first + 1
            if len(window) < needed:
                window = np.zeros((needed, bins.inputs), np.float32)
            part = window[:needed]
            filled, time = np.zeros(needed, np.int64), (DT_US, 1, 1, needed, FOREVER)
            events = (t_us, x, y, on)
            bin_events(events, 0, first, 0, *time, *bins.arrays, part, None, filled, counts)
            part[:] = 0.0
        return int(counts[0])

    return run


def _then_bincount(columns: Callable[[Path], Iterator[Any]]) -> Run:
    def run(path: Path) -> int:
        bins, events = layout(path), 0
        for t_us, x, y, on in columns(path):
            if not len(t_us):
                continue
            place = t_us // DT_US - int(t_us[0]) // DT_US
            address = bins.columns[x] + bins.rows[2 * y.astype(np.int64) + on]
            counted = np.bincount(place * bins.inputs + address)
            events += int(counted.sum())
        return events

    return run


# By the task: ours first, then the rivals.
DECODE_EVT3: dict[str, Run] = {
    "retempo": decoded,
    "retempo, as chunks": chunks,
    "evt3": by_evt3,
    "evt3, batches": by_evt3_batches,
    "faery": by_faery,
}
DECODE_EVT2: dict[str, Run] = {
    "retempo": decoded,
    "retempo, as chunks": chunks,
    "faery": by_faery,
}
BIN_EVT3: dict[str, Run] = {
    "retempo, fused": fused,
    "evt3, then our kernel": _then_kernel(_evt3_columns),
    "evt3, then np.bincount": _then_bincount(_evt3_columns),
}
BIN_EVT2: dict[str, Run] = {
    "retempo, fused": fused,
    "faery, then our kernel": _then_kernel(_faery_columns),
    "faery, then np.bincount": _then_bincount(_faery_columns),
}
TASKS: dict[str, tuple[str, dict[str, Run]]] = {
    "decode EVT3": ("evt3.raw", DECODE_EVT3),
    "decode EVT2": ("evt2.raw", DECODE_EVT2),
    "bin EVT3": ("evt3.raw", BIN_EVT3),
    "bin EVT2": ("evt2.raw", BIN_EVT2),
}
