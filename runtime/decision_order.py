"""One stream's decisions as a subscriber hands them on: each once, in order, or counted missed."""

from collections import deque
from dataclasses import dataclass, field

from retempo.runtime.decision import Decision

# Decisions that may wait while what is missing before them is asked for.
_HELD = 10_000
_PAST_EPOCHS = 16
# Where a stream stands of which nothing is known but that it began.
NOTHING = (0, -1)


@dataclass(slots=True)
class DecisionOrder:
    """Where a subscriber stands in a stream.

    `last` is the epoch and the sequence of the decision handed on last, `missed` counts decisions
    that nobody had any more. While `asking`, decisions that leave a gap wait for the answer.
    """

    last: tuple[int, int] | None = None
    missed: int = 0
    asking: bool = False
    _ended: bool = False
    _stale: bool = False
    _past: deque[int] = field(default_factory=lambda: deque(maxlen=_PAST_EPOCHS))
    _held: list[Decision] = field(default_factory=list)

    def take(self, decision: Decision) -> list[Decision]:
        """Take a decision as it is published; returns what is to be handed on.

        Sets `asking` where decisions before it are missing.
        """
        if self._had(decision):
            return []
        if self._follows(decision):
            return [self._hand_on(decision)]
        # What is missing since it was asked may not be in the answer.
        self._stale |= self.asking and not (self._held and _next(self._held[-1], decision))
        self.asking = True
        self._held.append(decision)
        return self.settle() if len(self._held) > _HELD else []

    def take_answer(
        self, decisions: list[Decision], count: int, *, more: bool = False
    ) -> list[Decision]:
        """Take an answer that held `count` decisions, of which some may have been lost.

        Returns what is to be handed on. Where all came, what lies between them is gone for good;
        where not, or where there is `more`, `asking` stays.
        """
        whole = len(decisions) == count
        if whole:
            due = [self._hand_on(d) for d in decisions if not self._had(d)]
        else:
            due, _ = self._following(decisions)
        if whole and not more and not self._stale:
            return due + self.settle()
        followed, self._held = self._following(self._held)
        self.asking, self._stale = bool(self._held) or more or not whole, False
        return due + followed

    def settle(self) -> list[Decision]:
        """Wait no longer for an answer; returns what waited for it."""
        self.asking = self._stale = False
        held, self._held = self._held, []
        return [self._hand_on(decision) for decision in held if not self._had(decision)]

    def _following(self, decisions: list[Decision]) -> tuple[list[Decision], list[Decision]]:
        """Hand on as many as follow; returns them, and the rest."""
        due: list[Decision] = []
        for place, decision in enumerate(decisions):
            if self._had(decision):
                continue
            if not self._follows(decision):
                return due, decisions[place:]
            due.append(self._hand_on(decision))
        return due, []

    def _had(self, decision: Decision) -> bool:
        if self.last is None:
            return False
        epoch, sequence = self.last
        if decision.epoch != epoch:
            return decision.epoch in self._past
        # A daemon that knows no epochs begins each run of a stream with 0.
        return decision.sequence <= sequence and not (self._ended and not epoch)

    def _follows(self, decision: Decision) -> bool:
        if self.last is None:
            return True
        epoch, sequence = self.last
        if decision.epoch == epoch and not self._ended:
            return decision.sequence == sequence + 1
        # Before another run there may have been one of which nothing came: only the daemon knows.
        return not decision.epoch and self._ended and decision.sequence == 0

    def _hand_on(self, decision: Decision) -> Decision:
        if self.last not in (None, NOTHING):
            epoch, sequence = self.last
            goes_on = decision.epoch == epoch and not self._ended
            self.missed += decision.sequence - (sequence + 1 if goes_on else 0)
            if decision.epoch != epoch:
                self._past.append(epoch)
        self.last, self._ended = (decision.epoch, decision.sequence), decision.final
        return decision


def _next(before: Decision, decision: Decision) -> bool:
    return (before.epoch, before.sequence + 1) == (decision.epoch, decision.sequence)
