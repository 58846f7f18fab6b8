"""A data set: labelled recordings of one sensor, each loaded when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from retempo.training.errors import DatasetError


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A recording, its name and its label as an index into the data set's labels."""

    name: str
    label: int
    events: EventChunk


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled recordings of one sensor.

    `names[i]` and `targets[i]` are known at once; `load(i)` reads or makes the events of recording
    `i`, the same ones at each call. A target is an index into `labels`. `ear` is what hears them,
    None where they are no sound.

    Raises:
        DatasetError: there is no recording, names and targets differ in length, or a target has no
            label.
    """

    name: str
    geometry: Geometry
    labels: tuple[str, ...]
    names: tuple[str, ...]
    targets: tuple[int, ...]
    load: Callable[[int], EventChunk]
    ear: EarSpec | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise DatasetError(f"{self.name} holds no recording")
        if len(self.names) != len(self.targets):
            raise DatasetError(
                f"{self.name} has {len(self.names)} names and {len(self.targets)} targets"
            )
        for name, target in zip(self.names, self.targets, strict=True):
            if not 0 <= target < len(self.labels):
                raise DatasetError(
                    f"{self.name}: {name} has the target {target}, expected 0 to "
                    f"{len(self.labels) - 1}, one a label"
                )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Labelled:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} recordings, got index {index}")
        return Labelled(self.names[index], self.targets[index], self.load(index))


def subset(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """Return the recordings at `indices`, in that order, with all labels kept."""
    chosen = tuple(int(index) for index in indices)
    load = dataset.load
    return replace(
        dataset,
        names=tuple(dataset.names[index] for index in chosen),
        targets=tuple(dataset.targets[index] for index in chosen),
        load=lambda index: load(chosen[index]),
    )


def limited(dataset: Dataset, limit: int | None) -> Dataset:
    """Return the first `limit` recordings spread evenly over the data set; all if None.

    Evenly, since a data set may be sorted by label.
    """
    if limit is None or limit >= len(dataset):
        return dataset
    if limit < 1:
        raise DatasetError(f"limit is {limit}, expected at least 1 recording of {dataset.name}")
    return subset(dataset, [position * len(dataset) // limit for position in range(limit)])


def label_order(labels: set[str]) -> tuple[str, ...]:
    """Return labels in the order that people expect: numbers by value, else by the alphabet."""
    if all(label.isdecimal() for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
