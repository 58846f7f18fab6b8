"""The three kinds of job, as plain data: what is trained, evaluated or timed."""

import re
from dataclasses import dataclass

# `("fit.epochs", 10)`: a key of the preset and what it is replaced by.
Change = tuple[str, object]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set: its preset, its folder under the data root, and sizes for the time estimate.

    `folder` is None for a data set that needs none. `heard` ones are sound: their events are kept
    in a cache.
    """

    name: str
    preset: str
    folder: str | None
    train_recordings: int
    test_recordings: int
    recording_ms: float
    epochs: int
    changes: tuple[Change, ...] = ()
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way to bring a network to another time step; its name is that of its row.

    `input_adaptation` changes the bins and leaves the network at its own step; with `sensor_dt_us`
    it makes the bins of the target of such bins, and the network is adapted.
    """

    name: str
    method: str
    normalisation: str | None = None
    input_adaptation: str | None = None
    sensor_dt_us: int | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """A network trained at `dt_us`. `variant` names what the changes make of the preset."""

    data: Data
    neuron: str
    dt_us: int
    seed: int
    variant: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        """A name for the run's folder, one a job."""
        parts = [self.data.name, self.neuron, f"{self.dt_us}us", f"seed{self.seed}", self.variant]
        return "-".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A trained network, brought to `dt_us` and tested on every test recording."""

    train: Train
    dt_us: int
    way: Way

    @property
    def name(self) -> str:
        """A name for the result's file, one a job."""
        return f"{self.train.name}--{self.dt_us}us-{_slug(self.way.name)}"


@dataclass(frozen=True, slots=True)
class Adapt:
    """The time that it takes to adapt a trained network to `dt_us`; nothing is stepped."""

    train: Train
    dt_us: int
    way: Way

    @property
    def name(self) -> str:
        """A name for the result's file, one a job."""
        return f"{self.train.name}--{self.dt_us}us-{_slug(self.way.name)}-timed"


Job = Train | Evaluate | Adapt


@dataclass(frozen=True, slots=True)
class Planned:
    """A job and its turn: all of a lower stage are started before those of a higher one."""

    job: Job
    stage: int


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text)
