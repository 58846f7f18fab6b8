"""Synthetic events of a VGA sensor, at a steady rate, in the forms that the contestants take."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.events import EventChunk
from retempo.sensors.files.registry import FORMATS
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import cut

GEOMETRY = GridGeometry(640, 480)
# As many as one live message or one decoded block holds, and a cache too.
CHUNK_EVENTS = 65_536
_RUN = 8


@dataclass(eq=False)
class Events:
    """Events in time order: half of them in runs along a row, as an edge makes them.

    `folder` is where the files lie that some rivals must read.
    """

    chunk: EventChunk
    folder: Path

    def __len__(self) -> int:
        return len(self.chunk)

    @property
    def columns(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Times, x, y and polarity."""
        chunk = self.chunk
        assert chunk.x is not None
        assert chunk.y is not None
        assert chunk.on is not None
        return chunk.t_us, chunk.x, chunk.y, chunk.on

    @cached_property
    def chunks(self) -> list[EventChunk]:
        """Chunks as a source hands them on."""
        whole = self.chunk
        edges = [*range(0, len(whole), CHUNK_EVENTS), len(whole)]
        return [cut(whole, begin, end, int(whole.t_us[end - 1])) for begin, end in pairwise(edges)]

    @cached_property
    def bins(self) -> int:
        """How many milliseconds the events reach over."""
        return int(self.chunk.t_us[-1]) // 1_000 + 1

    def first(self, events: int) -> "Events":
        """Return the first of them alone."""
        return Events(cut(self.chunk, 0, events, int(self.chunk.t_us[events - 1])), self.folder)

    def structured(self, step: int = 1) -> NDArray[Any]:
        """Return what tonic takes, addresses divided by a step."""
        t_us, x, y, on = self.columns
        events = np.empty(len(self), [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
        events["t"], events["x"], events["y"], events["p"] = t_us, x // step, y // step, on
        return events

    def written(self, name: str, suffix: str) -> Path:
        """Return a file of the events in a format, for those who read nothing else."""
        path = self.folder / f"{len(self)}{suffix}"
        if not path.exists():
            write = next(known.write for known in FORMATS if known.name == name)
            assert write is not None
            write(path, GEOMETRY, iter(self.chunks))
        return path


def generate(events: int, rate_hz: float, folder: Path, seed: int = 7) -> Events:
    """Draw events of a VGA sensor at a rate."""
    rng = np.random.default_rng(seed)
    span_us = round(events / rate_hz * 1e6)
    runs = events // 2 // _RUN
    alone = events - runs * _RUN
    t_us = np.repeat(rng.integers(0, span_us, runs), _RUN)
    x = (rng.integers(0, GEOMETRY.width - _RUN, runs)[:, np.newaxis] + np.arange(_RUN)).ravel()
    y = np.repeat(rng.integers(0, GEOMETRY.height, runs), _RUN)
    on = np.repeat(rng.random(runs) < 0.5, _RUN)
    t_us = np.concatenate([t_us, rng.integers(0, span_us, alone)])
    order = np.argsort(t_us, kind="stable")
    columns = {
        "x": np.concatenate([x, rng.integers(0, GEOMETRY.width, alone)])[order].astype(np.uint16),
        "y": np.concatenate([y, rng.integers(0, GEOMETRY.height, alone)])[order].astype(np.uint16),
        "on": np.concatenate([on, rng.random(alone) < 0.5])[order],
    }
    t_us = t_us[order].astype(np.int64)
    return Events(EventChunk(t_us, int(t_us[-1]), **columns), folder)
