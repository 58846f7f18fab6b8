"""The results of a study, gathered from their files and grouped for pages and pictures."""

import statistics
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.adaptation.jobs import Job, Train
from benchmarks.adaptation.settings import Places, settings_digest
from benchmarks.adaptation.store import Result, Trained, read_result, read_trained

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Found:
    """What of a study is there: its results and networks, and the jobs that are missing."""

    results: list[Result]
    trained: dict[Train, Trained]
    missing: list[Job]

    @property
    def evaluated(self) -> list[Result]:
        """The results that have an accuracy."""
        return [result for result in self.results if result.total and not result.reason]


def gather(jobs: Iterable[Job], places: Places) -> Found:
    """Read the results of jobs; those of other settings than today's count as missing."""
    results: list[Result] = []
    trained: dict[Train, Trained] = {}
    missing: list[Job] = []
    digests: dict[Train, str] = {}
    for job in jobs:
        train = job if isinstance(job, Train) else job.train
        if train not in digests:
            digests[train] = _digest(train)
        if isinstance(job, Train):
            network = read_trained(job, places)
            if network is not None and network.settings == digests[train]:
                trained[job] = network
                continue
        else:
            result = read_result(job, places)
            if result is not None and result.settings == digests[train]:
                results.append(result)
                continue
        missing.append(job)
    return Found(results, trained, missing)


def _digest(train: Train) -> str:
    try:
        return settings_digest(train)
    # A job that cannot be done has no result; the run has said why.
    except Exception:  # noqa: BLE001
        return "none"


def grouped(results: Iterable[Result], key: Callable[[Result], K]) -> dict[K, list[Result]]:
    """Return results by a key, in the order in which the keys occur."""
    groups: dict[K, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def mean_percent(results: list[Result]) -> float:
    """Return the mean accuracy."""
    return statistics.fmean(result.percent for result in results)


def spread(results: list[Result]) -> str:
    """Return `96.7 (96.0-98.0)`, the mean and from lowest to highest; the mean alone for one."""
    percents = [result.percent for result in results]
    if not percents:
        return ""
    mean = f"{statistics.fmean(percents):.1f}"
    return mean if len(percents) == 1 else f"{mean} ({min(percents):.0f}-{max(percents):.0f})"


def homes(results: Iterable[Result]) -> dict[tuple[str, str, str, int], list[Result]]:
    """Return what networks decide at their own time step, by data, neuron, variant and step."""
    at_home = [r for r in results if r.dt_us == r.source_us and r.way == "none"]
    return grouped(at_home, lambda r: (r.data, r.neuron, r.variant, r.source_us))
