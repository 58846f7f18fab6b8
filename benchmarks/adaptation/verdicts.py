"""Whether `auto` keeps what is asked of it, and how the methods rank."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.adaptation.rows import grouped, homes, mean_percent
from benchmarks.adaptation.store import Result

WITHIN_POINTS = 1.0
# The paper's ordering is of moderate ratios, and so is what is asked from fine to coarse.
_MODERATE = 10.01
_PAIRS = (
    ("auto", "integral"),
    ("auto", "euler"),
    ("integral", "euler"),
    ("expectation", "euler"),
    ("integral", "tau"),
    ("euler", "tau"),
    ("integral", "none"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`auto` at one target against its bound, in points of accuracy, mean of the seeds both have.

    The bound is the network at home from coarse to fine, and one trained at the target from fine to
    coarse.
    """

    neuron: str
    source_us: int
    dt_us: int
    points: float
    seeds: int

    @property
    def ratio(self) -> float:
        """The target time step by the source's."""
        return self.dt_us / self.source_us

    @property
    def wanted(self) -> bool:
        """Whether the target is asked for here: every finer step, and coarser ones up to 10."""
        return self.ratio <= _MODERATE

    @property
    def kept(self) -> bool:
        """Whether it is within the target."""
        return self.points >= -WITHIN_POINTS - 1e-9


@dataclass(frozen=True, slots=True)
class Rank:
    """In how many settings a method is at least as accurate as another, and by how much."""

    better: str
    worse: str
    finer: bool
    wins: int
    settings: int
    points: float


def verdicts(results: list[Result]) -> list[Verdict]:
    """Compare `auto` with its bound, wherever both were measured."""
    at_home = homes(results)
    adapted = grouped(
        (r for r in results if r.way == "auto"),
        lambda r: (r.data, r.neuron, r.variant, r.source_us, r.dt_us),
    )
    found = []
    for (data, neuron, variant, source_us, dt_us), rows in adapted.items():
        trained_at = source_us if dt_us < source_us else dt_us
        bound = {r.seed: r.percent for r in at_home.get((data, neuron, variant, trained_at), [])}
        points = [r.percent - bound[r.seed] for r in rows if r.seed in bound]
        if points:
            mean = statistics.fmean(points)
            found.append(Verdict(neuron, source_us, dt_us, mean, len(points)))
    return found


def ranks(results: Iterable[Result]) -> list[Rank]:
    """Compare the methods pairwise, a setting being neuron, source and target."""
    moderate = [r for r in results if r.dt_us != r.source_us and _is_moderate(r.ratio)]
    settings = grouped(moderate, lambda r: (r.data, r.neuron, r.variant, r.source_us, r.dt_us))
    found = []
    for finer in (True, False):
        for better, worse in _PAIRS:
            points = []
            for (*_, source_us, dt_us), rows in settings.items():
                by_way = grouped(rows, lambda r: r.way)
                if (dt_us < source_us) == finer and better in by_way and worse in by_way:
                    points.append(mean_percent(by_way[better]) - mean_percent(by_way[worse]))
            if points:
                wins = sum(point >= 0.0 for point in points)
                mean = statistics.fmean(points)
                found.append(Rank(better, worse, finer, wins, len(points), mean))
    return found


def _is_moderate(ratio: float) -> bool:
    return 1.0 / _MODERATE <= ratio <= _MODERATE
