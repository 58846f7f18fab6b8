"""What a subscriber asks for again, and what comes of it: state without a socket."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from retempo.runtime.decision import Decision
from retempo.runtime.decision_order import NOTHING, DecisionOrder
from retempo.runtime.decisions_out import AGAIN_ID_BYTES, END, MORE, After, again_topic
from retempo.runtime.errors import FeedError
from retempo.runtime.feed import TIMEOUT_S

# How long an answer may take to begin before it is given up: a daemon silent so long is gone.
ANSWER_S = TIMEOUT_S
# How long it may then halt before the rest is asked for again.
HALT_S = 1.0
# Nothing follows the last decision of a burst that could tell that it was lost: so it is asked for.
QUIET_S = 1.0


@dataclass(slots=True)
class _Answer:
    """What has come of an answer, and when the latest of it came."""

    stream: str
    latest_s: float
    decisions: list[Decision] = field(default_factory=list)

    @property
    def due_s(self) -> float:
        return self.latest_s + (HALT_S if self.decisions else ANSWER_S)


class CatchUp:
    """The order of every stream's decisions, and the questions that are open.

    `topics` are to be subscribed: one for each question. Times are of a monotonic clock.
    """

    def __init__(self, after: Mapping[str, tuple[int, int]]) -> None:
        self.orders = {stream: DecisionOrder(last) for stream, last in after.items()}
        self._stands: dict[str, tuple[int, int]] | None = None
        self._answers: dict[bytes, _Answer] = {}
        self._lively: set[str] = set()
        self._latest_s = 0.0

    @property
    def topics(self) -> frozenset[bytes]:
        """The topics of the questions that are open."""
        return frozenset(self._answers)

    @property
    def due_s(self) -> float | None:
        """When `look` has something to do, None if never."""
        due_s = [answer.due_s for answer in self._answers.values()]
        if self._lively:
            due_s.append(self._latest_s + QUIET_S)
        return min(due_s, default=None)

    def take(self, decision: Decision, now_s: float) -> list[Decision]:
        """Take a decision as it is published; returns what is to be handed on."""
        order = self.orders.get(decision.stream)
        if order is None:
            stand = (self._stands or {}).get(decision.stream)
            order = self.orders[decision.stream] = DecisionOrder(stand)
        self._lively.add(decision.stream)
        self._latest_s = now_s
        due = order.take(decision)
        if order.asking:
            self._ask(decision.stream, now_s)
        return due

    def take_answer(self, topic: bytes, decision: Decision, now_s: float) -> None:
        """Take a decision of an answer."""
        answer = self._answers[topic]
        answer.latest_s = now_s
        answer.decisions.append(decision)

    def end_answer(self, topic: bytes, body: bytes, now_s: float) -> list[Decision]:
        """Take the last body of an answer; returns what is to be handed on.

        Raises:
            FeedError: it is none.
        """
        answer = self._answers.pop(topic)
        try:
            count = int(body.removeprefix(END).removeprefix(MORE))
        except ValueError as error:
            raise FeedError(f"an answer ends with {END!r} and a number, got {body!r}") from error
        order = self.orders[answer.stream]
        due = order.take_answer(answer.decisions, count, more=body.startswith(MORE))
        if order.asking:
            self._ask(answer.stream, now_s)
        return due

    def stand(self, stands: Iterable[After], now_s: float) -> None:
        """Take where the streams stand, as the daemon says it on every new connection.

        Of a stream that began while there was none nothing has come: it is asked for whole.
        """
        now = {stand.stream: (stand.epoch, stand.sequence) for stand in stands}
        if self._stands is None:
            self._stands = now
        for stream, last in now.items():
            had = self._stands.get(stream, NOTHING)
            if stream not in self.orders and last != had:
                self.orders[stream] = DecisionOrder(had)
                self._ask(stream, now_s)

    def ask_all(self, now_s: float) -> None:
        """Ask for what followed the last decision of every stream: the connection is another."""
        for stream in self.orders:
            self._ask(stream, now_s)

    def look(self, now_s: float) -> list[Decision]:
        """Go on without an answer that does not come; ask again where the end of it was lost.

        A second after the last decision it asks whether that was the last. To be called when
        nothing has come: what waits to be read is not late. Returns what is to be handed on.
        """
        if self._lively and now_s - self._latest_s >= QUIET_S:
            for stream in self._lively:
                self._ask(stream, now_s)
            self._lively.clear()
        due: list[Decision] = []
        for topic, answer in list(self._answers.items()):
            if now_s < answer.due_s:
                continue
            del self._answers[topic]
            order = self.orders[answer.stream]
            if answer.decisions:
                due += order.take_answer(answer.decisions, count=-1)
                self._ask(answer.stream, now_s)
            else:
                due += order.settle()
        return due

    def _ask(self, stream: str, now_s: float) -> None:
        """Ask for what followed the last decision of a stream, unless that has been asked."""
        order = self.orders[stream]
        if any(stream == answer.stream for answer in self._answers.values()):
            return
        assert order.last is not None  # noqa: S101  (it has had one, or was told where it stands)
        order.asking = True
        topic = again_topic(secrets.token_bytes(AGAIN_ID_BYTES), After(stream, *order.last))
        self._answers[topic] = _Answer(stream, now_s)
