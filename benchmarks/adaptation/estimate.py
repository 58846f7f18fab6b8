"""How long jobs take: guessed at first, then learned from those that have ended."""

from collections import defaultdict
from collections.abc import Iterable

from benchmarks.adaptation.jobs import Evaluate, Job, Train
from benchmarks.adaptation.plan import AUTO

# Seconds a unit on one core of a few years' age; they only order the jobs until some have ended.
_GUESSED_S = {"Train": 3.3e-5, "Evaluate": 2e-5, "Adapt": 0.5}
# What a recording costs besides its bins: reading, varying, starting.
_BINS_A_RECORDING = 10.0
# What an evaluation costs besides its recordings: reading the network, building its graph.
_STEPS_TO_START = 15_000.0


def units(job: Job) -> float:
    """Return the size of a job in units that take about the same time within its kind."""
    if isinstance(job, Train):
        epochs = dict(job.changes).get("fit.epochs", job.data.epochs)
        bins = 1e3 * job.data.recording_ms / job.dt_us
        return float(str(epochs)) * job.data.train_recordings * (bins + _BINS_A_RECORDING)
    if isinstance(job, Evaluate):
        # `auto` steps a coarse bin several times.
        substeps = max(1.0, job.dt_us / job.train.dt_us) if job.way == AUTO else 1.0
        bins = substeps * 1e3 * job.train.data.recording_ms / job.dt_us
        return _STEPS_TO_START + job.train.data.test_recordings * (bins + _BINS_A_RECORDING)
    return 1.0


class Estimate:
    """Seconds a unit, by kind of job and data set."""

    def __init__(self) -> None:
        self._units: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)

    def learn(self, job: Job, seconds: float) -> None:
        """Hear how long a job took."""
        for kind in (_kind(job), (_kind(job)[0], "")):
            self._units[kind] += units(job)
            self._seconds[kind] += seconds

    def seconds(self, job: Job) -> float:
        """Return how long a job may take."""
        for kind in (_kind(job), (_kind(job)[0], "")):
            if self._units[kind]:
                return units(job) * self._seconds[kind] / self._units[kind]
        return units(job) * _GUESSED_S[_kind(job)[0]]

    def total_s(self, jobs: Iterable[Job]) -> float:
        """Return how long jobs may take one after another."""
        return sum(self.seconds(job) for job in jobs)


def _kind(job: Job) -> tuple[str, str]:
    train = job if isinstance(job, Train) else job.train
    return type(job).__name__, train.data.name
