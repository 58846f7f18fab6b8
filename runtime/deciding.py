"""From the outputs of bins to the decisions of one stream."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from retempo.runtime.clock import Clock
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.engine import Engine, Vector
from retempo.runtime.pipeline_saved import Last, Place
from retempo.runtime.readouts import Readout, Scores

# When a stream is decided besides at its end: at each bin, when the label changes, never, or in the
# first bin that ends at or after each multiple of so many microseconds.
Every = Literal["bin", "change", "end"] | int


class By(NamedTuple):
    """What decides: the labels of the model and its identity."""

    labels: Sequence[str]
    model: str


def by_engine(engine: Engine) -> By:
    """Return what an engine decides by."""
    return By(engine.model.contract.network.labels, engine.model.identity)


class Deciding:
    """Reads the outputs of a stream, and says when it is decided and for what.

    `epoch` is the run of the stream that its decisions name.
    """

    def __init__(
        self,
        stream: str,
        by: By,
        new_readout: Callable[[], Readout],
        every: Every,
        clock_us: Clock,
    ) -> None:
        self.epoch = 0
        self.by = by
        self.readout = new_readout()
        self._stream = stream
        self._new_readout = new_readout
        self._every = every
        self._clock_us = clock_us
        self._label = ""
        self._sequence = 0
        self._last: tuple[By, int, int, list[float], float] | None = None

    def decide(
        self,
        y: Vector,
        begin_us: int,
        dt_us: int,
        step_us: float,
        arrived_us: float,
        counters: Counters,
    ) -> list[Decision]:
        """Return the decisions that are due in consecutive bins.

        Args:
            y: their outputs, `(bins, labels)`.
            begin_us: where the first of them begins, event time.
            dt_us: their length.
            step_us: how long stepping one of them took.
            arrived_us: when the events arrived that closed them, on the clock.
            counters: the stream's, behind them.
        """
        scores = self.readout(y, dt_us)
        bests = scores.argmax(axis=1).tolist()
        latency_us = self._clock_us() - arrived_us
        return self.decide_read(scores, bests, begin_us, dt_us, step_us, latency_us, counters)

    def decide_read(
        self,
        scores: Scores,
        bests: Sequence[int],
        begin_us: int,
        dt_us: int,
        step_us: float,
        latency_us: float,
        counters: Counters,
    ) -> list[Decision]:
        """Do as `decide` for bins that `readout` has read already.

        Args:
            scores: behind each of them, `(bins, labels)`.
            bests: the label of the highest of them, `(bins,)`.
            begin_us: as of `decide`.
            dt_us: the same.
            step_us: the same.
            latency_us: since the events arrived.
            counters: as of `decide`.
        """
        by, every, t_us, decisions = self.by, self._every, begin_us, list[Decision]()
        for k, best in enumerate(bests) if every != "end" else ():
            t_us += dt_us
            if (
                every == "bin"
                or (every == "change" and by.labels[best] != self._label)
                or (isinstance(every, int) and t_us // every != (t_us - dt_us) // every)
            ):
                listed = scores[k].tolist()
                decisions.append(
                    self._decision(by, t_us, dt_us, best, listed, step_us, latency_us, counters)
                )
        end_us = begin_us + len(bests) * dt_us
        self._last = by, end_us, dt_us, scores[-1].tolist(), step_us
        return decisions

    def final(self, arrived_us: float, counters: Counters) -> Decision | None:
        """Return the last decision, None for a stream of which no bin was stepped."""
        if self._last is None:
            return None
        by, t_us, dt_us, scores, step_us = self._last
        best, latency_us = int(np.argmax(scores)), self._clock_us() - arrived_us
        return self._decision(
            by, t_us, dt_us, best, scores, step_us, latency_us, counters, final=True
        )

    def begin_anew(self) -> None:
        """Forget what has been read."""
        self.readout = self._new_readout()

    def succeed(self, by: By, new_readout: Callable[[], Readout], *, carry: bool) -> None:
        """Decide by another model from here on; with `carry` what has been read goes on."""
        self.by, self._new_readout = by, new_readout
        if not carry:
            self.begin_anew()

    def place(self, dt_us: int) -> Place:
        """Return where it stands, for a checkpoint, but for the readout."""
        last: Last | None = None
        if self._last is not None:
            _, end_us, length_us, scores, step_us = self._last
            last = end_us, length_us, np.array(scores), step_us
        return Place(dt_us, self._sequence, self._label, last)

    def go_on(self, place: Place) -> None:
        """Go on where a saved one stood."""
        self._sequence, self._label = place.sequence, place.label
        self._last = None
        if place.last is not None:
            end_us, length_us, scores, step_us = place.last
            self._last = self.by, end_us, length_us, scores.tolist(), step_us

    def _decision(
        self,
        by: By,
        t_us: int,
        dt_us: int,
        best: int,
        scores: list[float],
        step_us: float,
        latency_us: float,
        counters: Counters,
        *,
        final: bool = False,
    ) -> Decision:
        self._label = by.labels[best]
        sequence = self._sequence
        self._sequence = sequence + 1
        return Decision(
            stream=self._stream,
            sequence=sequence,
            t_us=t_us,
            label=self._label,
            scores=scores,
            dt_us=dt_us,
            latency_us=latency_us,
            step_us=step_us,
            counters=counters.as_dict(),
            final=final,
            epoch=self.epoch,
            model=by.model,
        )
