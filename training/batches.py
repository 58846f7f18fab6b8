"""From labelled recordings to packed batches, by the binning of the runtime."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from retempo.runtime.errors import InputError
from retempo.runtime.layout import BinLayout, Bins
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from retempo.training.datasets import Dataset, Labelled
from retempo.training.errors import TrainingError

# Some 1.3 GB of columns; beyond it recordings are loaded afresh each time.
KEPT_EVENTS = 100_000_000
# What the bins of a batch may take; packing and learning take several times as much.
MOST_BATCH_BYTES = 8 << 30


class Batch(NamedTuple):
    """Recordings one after another.

    Shapes: `x` `(steps, inputs)`; `offsets` `(recordings + 1,)`; `targets` `(recordings,)`.
    """

    x: Tensor
    offsets: Tensor
    targets: Tensor


class BinPlan(NamedTuple):
    """How events become rows: the addresses, and the time step."""

    layout: BinLayout
    dt_us: int


class Kept:
    """A data set whose recordings stay in memory once loaded, as long as there is room."""

    def __init__(self, dataset: Dataset, room: int = KEPT_EVENTS) -> None:
        self.dataset = dataset
        self._room = room
        self._kept: dict[int, Labelled] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Labelled:
        if index in self._kept:
            return self._kept[index]
        item = self.dataset[index]
        if len(item.events) <= self._room:
            self._room -= len(item.events)
            self._kept[index] = item
        return item


def pack(bins: Sequence[Bins], targets: Sequence[int]) -> Batch:
    """Pack binned recordings; one without any bin is stepped once, on silence.

    Shapes: each of `bins` `(steps, inputs)`.
    """
    whole = [rows if len(rows) else np.zeros((1, rows.shape[1]), np.float32) for rows in bins]
    lengths = [0, *(len(rows) for rows in whole)]
    return Batch(
        x=torch.from_numpy(np.concatenate(whole)),
        offsets=torch.from_numpy(np.cumsum(lengths, dtype=np.int64)),
        targets=torch.tensor(list(targets), dtype=torch.int64),
    )


def batches(
    recordings: Kept,
    plan: BinPlan,
    order: Sequence[int],
    size: int,
    vary: Callable[[EventChunk], EventChunk] = lambda events: events,
) -> Iterator[Batch]:
    """Yield batches of `size` recordings in the order given, each varied and then binned.

    Raises:
        TrainingError: the bins of a batch take more than `MOST_BATCH_BYTES`.
    """
    for begin in range(0, len(order), size):
        items = [recordings[index] for index in order[begin : begin + size]]
        yield pack(_binned(items, plan, vary), [item.label for item in items])


def _binned(
    items: Sequence[Labelled], plan: BinPlan, vary: Callable[[EventChunk], EventChunk]
) -> list[Bins]:
    bins: list[Bins] = []
    for item in items:
        try:
            rows, _ = bin_recording(vary(item.events), plan.layout, plan.dt_us)
        except (InputError, MemoryError) as error:
            raise _too_large(items, plan, f"{item.name} alone is too long to be held") from error
        bins.append(rows)
        taken = sum(part.nbytes for part in bins)
        if taken > MOST_BATCH_BYTES:
            raise _too_large(
                items,
                plan,
                f"{len(bins)} of them take {taken / 2**30:.1f} GiB, expected at most "
                f"{MOST_BATCH_BYTES / 2**30:.1f} GiB in all",
            )
    return bins


def _too_large(items: Sequence[Labelled], plan: BinPlan, what: str) -> TrainingError:
    return TrainingError(
        f"a batch of {len(items)} recordings in bins of {plan.dt_us} us: {what}; raise [input] dt "
        "or downsample, or lower [fit] batch"
    )
