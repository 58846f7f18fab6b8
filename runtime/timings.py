"""What is kept of a stream's steps and decisions for whoever watches the daemon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retempo.runtime.decision import Decision
from retempo.runtime.histogram import Histogram


@dataclass(slots=True)
class Timings:
    """How long steps and decisions took, how many decisions there were, and the last of them.

    `step` counts bins by the time that stepping one took, `decision` decisions by the time from the
    arrival of what closed their bin. `dt_us` is the time step last taken, 0 before the first, and
    `scores` are those of the last decision. `shed` counts events that were dropped on purpose by
    the reason, `removed` those that filters have removed.
    """

    step: Histogram = field(default_factory=Histogram)
    decision: Histogram = field(default_factory=Histogram)
    decisions: int = 0
    dt_us: int = 0
    scores: Sequence[float] = ()
    shed: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def winner(self) -> int:
        """The place of the last label among the network's, -1 before the first decision."""
        return max(range(len(self.scores)), key=self.scores.__getitem__, default=-1)

    def note(self, dt_us: int, bins: int, took_us: float, decisions: Sequence[Decision]) -> None:
        """Take note of a block that was stepped and of what was decided in it."""
        if bins:
            self.dt_us = dt_us
            self.step.add(took_us / bins, bins)
        for decision in decisions:
            self.decisions += 1
            self.decision.add(decision.latency_us)
            self.scores = decision.scores

    def note_shed(self, reason: str, events: int) -> None:
        """Take note of events that were dropped on purpose."""
        self.shed[reason] = self.shed.get(reason, 0) + events

    def merge(self, other: "Timings") -> None:
        """Add what another has counted."""
        self.step.merge(other.step)
        self.decision.merge(other.decision)
        self.decisions += other.decisions
        _add(self.shed, other.shed)
        _add(self.removed, other.removed)

    def copy(self, removed: Mapping[str, int]) -> "Timings":
        """Return one that does not change with this, with what filters have removed by now."""
        return Timings(
            step=self.step.copy(),
            decision=self.decision.copy(),
            decisions=self.decisions,
            dt_us=self.dt_us,
            scores=self.scores,
            shed=dict(self.shed),
            removed=dict(removed),
        )


def _add(to: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        to[name] = to.get(name, 0) + count
