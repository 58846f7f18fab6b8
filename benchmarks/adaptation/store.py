"""Where runs and results lie, and whether they are those of today's settings.

A job has one place, named after what it is; the key inside says what it was made of. A changed
preset or data set gives another key, so the job is done anew.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.adaptation.jobs import Adapt, Evaluate, Job, Train
from benchmarks.adaptation.settings import Places, listing_digest, settings_digest
from retempo.exporters.files import write_atomically
from retempo.exporters.network import DESCRIPTION_FILE, WEIGHTS_FILE
from retempo.training.history import HISTORY_FILE

# Recordings stepped together: decisions may differ from a replay's by rounding alone.
BATCH = 50
_KEY_FILE = "job.json"

T = TypeVar("T")


class Trained(msgspec.Struct, frozen=True):
    """What a training took."""

    key: str
    settings: str
    wall_s: float
    epochs: int
    recordings: int
    parameters: int


class Result(msgspec.Struct, frozen=True):
    """A row: one network at one time step by one way.

    `reason` says why a way does not fit. `adapt_ms` is set by jobs that are timed, the rest by
    those that are evaluated.
    """

    key: str
    settings: str
    data: str
    neuron: str
    variant: str
    seed: int
    source_us: int
    dt_us: int
    way: str
    correct: int = 0
    total: int = 0
    spike_rate_hz: float = 0.0
    steps: int = 0
    wall_s: float = 0.0
    training_s: float = 0.0
    epochs: int = 0
    adapt_ms: float = 0.0
    reason: str = ""

    @property
    def ratio(self) -> float:
        """The target time step by the source's."""
        return self.dt_us / self.source_us

    @property
    def percent(self) -> float:
        """The accuracy."""
        return 100.0 * self.correct / self.total if self.total else float("nan")


def run_of(train: Train, places: Places) -> Path:
    """Return the folder of a training."""
    return places.runs / "trained" / train.name


def result_file(job: Evaluate | Adapt, places: Places) -> Path:
    """Return the file of a result."""
    return places.runs / "measured" / f"{job.name}.json"


class Store:
    """Answers what is done; remembers digests, since hundreds of jobs share a network."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._listings: dict[str, str] = {}
        self._settings: dict[Train, str] = {}
        self._weights: dict[Train, str] = {}

    def key_of(self, job: Job) -> str:
        """Return the hash of everything that determines a job.

        Raises:
            RetempoError: the data set is missing, or the preset cannot be changed as the job asks.
            OSError: an evaluation's network is not trained yet.
        """
        if isinstance(job, Train):
            return _sha(self.settings_of(job), self._listing(job))
        way: tuple[object, ...] = (
            job.way.method,
            job.way.normalisation,
            job.way.input_adaptation,
        )
        if job.way.sensor_dt_us is not None:
            way = (*way, job.way.sensor_dt_us)
        parts = (self.key_of(job.train), self._weight(job.train), job.dt_us, *way, BATCH)
        return _sha(type(job).__name__, *parts)

    def is_done(self, job: Job) -> bool:
        """Whether the result of a job lies in its place."""
        if isinstance(job, Train):
            trained = read_trained(job, self.places)
            return trained is not None and trained.key == self.key_of(job)
        if not self.is_done(job.train):
            return False
        result = read_result(job, self.places)
        return result is not None and result.key == self.key_of(job)

    def forget(self, train: Train) -> None:
        """Hear that a network was trained anew."""
        self._weights.pop(train, None)

    def settings_of(self, train: Train) -> str:
        """Return the hash of the settings of a training."""
        if train not in self._settings:
            self._settings[train] = settings_digest(train)
        return self._settings[train]

    def _listing(self, train: Train) -> str:
        if train.data.name not in self._listings:
            self._listings[train.data.name] = listing_digest(train.data, self.places)
        return self._listings[train.data.name]

    def _weight(self, train: Train) -> str:
        if train not in self._weights:
            run = run_of(train, self.places)
            contents = [(run / name).read_bytes() for name in (DESCRIPTION_FILE, WEIGHTS_FILE)]
            self._weights[train] = hashlib.sha256(b"\n".join(contents)).hexdigest()
        return self._weights[train]


def read_trained(train: Train, places: Places) -> Trained | None:
    """Return what a training took; None where there is no whole run."""
    run = run_of(train, places)
    files = (DESCRIPTION_FILE, WEIGHTS_FILE, HISTORY_FILE)
    if not all((run / name).is_file() for name in files):
        return None
    return _read(run / _KEY_FILE, Trained)


def write_trained(train: Train, trained: Trained, places: Places) -> None:
    """Seal a run: without this file it is trained again."""
    write_atomically(run_of(train, places) / _KEY_FILE, msgspec.json.encode(trained))


def read_result(job: Evaluate | Adapt, places: Places) -> Result | None:
    """Return the result in a job's place; None where there is none."""
    return _read(result_file(job, places), Result)


def write_result(job: Evaluate | Adapt, result: Result, places: Places) -> None:
    """Write a result whole or not at all."""
    path = result_file(job, places)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(result), indent=1))


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def _sha(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:24]
