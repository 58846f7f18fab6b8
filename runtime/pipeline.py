"""The pipeline of one stream: events -> bins -> step -> decision.

Live and replay are this one pipeline; they differ in who feeds it and in the clock.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.engine import Engine, Vector
from retempo.runtime.errors import CheckpointError, EngineError, InputError
from retempo.runtime.layout import BinLayout
from retempo.runtime.pipeline_saved import Last, Parts, Place, load_pipeline, save_pipeline
from retempo.runtime.readouts import Readout
from retempo.runtime.saved_state import Saved, part_of
from retempo.runtime.sparse_bins import Block
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain

# A number that is not finite stays so: it is found before it can be the last word on a stream.
_CHECK_STEPS = 256

# When a stream is decided besides at its end: at each bin, when the label changes, never, or in the
# first bin that ends at or after each multiple of so many microseconds.
Every = Literal["bin", "change", "end"] | int
Clock = Callable[[], float]
OnSteps = Callable[[int, float], None]


def host_clock_us() -> float:
    """Return the host's monotonic clock in microseconds."""
    return time.perf_counter_ns() / 1e3


class Pipeline:
    """One stream from its first event to its end. Owns no socket and reads only the given clock.

    Whoever serves one stream calls `feed` and `finish`. Whoever serves many takes their blocks of
    closed bins by `take` and `close`, steps them together and hands the outputs to `decide`; `end`
    makes the last decision.
    """

    def __init__(
        self,
        engine: Engine,
        layout: BinLayout,
        *,
        stream: str,
        new_readout: Callable[[], Readout],
        chain: Chain | None = None,
        lateness_us: int = 0,
        every: Every = "bin",
        clock_us: Clock = host_clock_us,
        on_steps: OnSteps | None = None,
        ladder: Mapping[int, Resolution] | None = None,
    ) -> None:
        self.counters = Counters()
        self.removed: dict[str, int] = {}
        self._chain = chain
        self._engine = engine
        self._stream = stream
        self._ladder = ladder or {}
        self._labels = engine.model.contract.network.labels
        self._binner = Binner(layout, engine.resolution.dt_us, self.counters, lateness_us)
        self.state = engine.new_state(1)
        self._new_readout = new_readout
        self._readout = new_readout()
        self._every = every
        self._clock_us = clock_us
        self._on_steps = on_steps
        self._label = ""
        self._sequence = 0
        self._last: Last | None = None

    def feed(self, chunk: EventChunk, arrived_us: float) -> Iterator[Decision | None]:
        """Step every bin that the chunk closes; yields the decisions, None for a block without any.

        So whoever runs it looks up now and then, also through a long silence. If it is left before
        its end, the events that it had not reached are not received.

        Args:
            chunk: the next events of the stream.
            arrived_us: when they arrived, on the clock of the pipeline.

        Raises:
            EngineError: the network left the finite numbers.
        """
        for block in self.take(chunk):
            yield from self._step(block, arrived_us)

    def finish(self, arrived_us: float) -> Iterator[Decision | None]:
        """Step what is still open and end the stream; the last decision is final.

        A stream without a binned event ends without a decision.

        Raises:
            EngineError: as `feed`.
            CounterError: events went missing uncounted.
        """
        for block in self.close():
            yield from self._step(block, arrived_us)
        yield self.end(arrived_us)

    def take(self, chunk: EventChunk) -> Iterator[Block]:
        """Yield the bins that a chunk closes, to be stepped before the next are asked for."""
        return self._binner.feed(self._filtered(chunk))

    def close(self) -> Iterator[Block]:
        """Yield the bins that are still open, up to that of the last event."""
        return self._binner.finish()

    def shed(self, chunks: Sequence[EventChunk], *, reset: bool = False) -> Iterator[Block]:
        """Leave chunks out: their events are counted, and no bin of theirs is stepped.

        Yields the bins that are still open. The state then stays as it is until the event time at
        which the chunks end, or with `reset` begins anew there.
        """
        yield from self._binner.leap(chunks[-1].t_end_us)
        for chunk in chunks:
            self.counters.lost += chunk.lost
            self.counters.received += len(chunk)
            self.counters.shed += len(chunk)
        if reset:
            self.state = self._engine.new_state(1, self.state.resolution)
            self._readout = self._new_readout()

    def check(self) -> None:
        """Check that a stream may be gone on with.

        Raises:
            EngineError: the network left the finite numbers.
            CounterError: events went missing uncounted.
        """
        self._check_finite()
        self.counters.check()

    def save(self) -> Saved:
        """Return a copy of all that the stream goes on by, between two chunks.

        Raises:
            EngineError: the network left the finite numbers.
        """
        self._check_finite()
        return save_pipeline(
            Parts(self._binner, self._readout, self._chain, self.counters, self.removed),
            self._engine.snapshot(self.state),
            Place(self.state.resolution.dt_us, self._sequence, self._label, self._last),
        )

    def load(self, saved: Saved) -> None:
        """Let a pipeline that has seen nothing go on exactly where a saved one stood.

        A pipeline that refuses is to be thrown away: parts of it may have moved.

        Raises:
            CheckpointError: it is the state of a pipeline of another deployment.
        """
        parts = Parts(self._binner, self._readout, self._chain, self.counters, self.removed)
        place = load_pipeline(parts, saved, self._labels)
        own = self._engine.resolution
        if place.dt_us != own.dt_us and place.dt_us not in self._ladder:
            raise CheckpointError(f"a stream steps at {own.dt_us} us, the saved one {place.dt_us}")
        resolution = own if place.dt_us == own.dt_us else self._ladder[place.dt_us]
        self.state = self._engine.restore(part_of(saved, "engine"), resolution)
        self._sequence, self._label, self._last = place.sequence, place.label, place.last

    def change_step(self, dt_us: int) -> None:
        """Step at another resolution from the next instant that is an edge of both bins.

        Raises:
            InputError: it is none of the pipeline's ladder.
        """
        if dt_us not in self._ladder:
            known = ", ".join(map(str, self._ladder)) or "none"
            raise InputError(f"a stream steps at {known} us, got {dt_us}")
        self._binner.gather(dt_us // self._binner.dt_us)

    def prepare(self, block: Block) -> None:
        """Set the state's resolution to that of the block, before it is stepped."""
        if block.dt_us != self.state.resolution.dt_us:
            self._engine.set_resolution(self.state, self._ladder[block.dt_us])
            self.counters.switches += 1

    def _step(self, block: Block, arrived_us: float) -> Iterator[Decision | None]:
        self.prepare(block)
        began_us = self._clock_us()
        y = self._engine.run(self.state, block.bins)
        decisions = self.decide(block, y, self._clock_us() - began_us, arrived_us)
        yield from decisions or (None,)

    def decide(self, block: Block, y: Vector, took_us: float, arrived_us: float) -> list[Decision]:
        """Return the decisions that are due in a block that was stepped.

        Args:
            block: from `take` or `close`.
            y: the outputs, `(bins, labels)`.
            took_us: how long stepping took.
            arrived_us: when the events arrived that closed it, on the clock of the pipeline.

        Raises:
            EngineError: the network left the finite numbers.
        """
        bins, counters, dt_us = len(y), self.counters, block.dt_us
        if self._on_steps is not None:
            self._on_steps(bins, took_us)
        before = counters.steps
        counters.steps += bins
        if before // _CHECK_STEPS != counters.steps // _CHECK_STEPS:
            self._check_finite()
        scores = self._readout(y, dt_us)
        begin_us, step_us = block.first * dt_us, took_us / bins
        decisions = [
            self._decision(begin_us + (k + 1) * dt_us, dt_us, scores[k], step_us, arrived_us)
            for k in self._due(begin_us, dt_us, scores)
        ]
        self._last = (begin_us + bins * dt_us, dt_us, scores[-1], step_us)
        return decisions

    def end(self, arrived_us: float) -> Decision | None:
        """Return the final decision, None for a stream without a binned event.

        Raises:
            EngineError: the network left the finite numbers.
            CounterError: events went missing uncounted.
        """
        self._check_finite()
        final = None
        if self._last is not None:
            final = self._decision(*self._last, arrived_us, final=True)
        self.counters.check()
        return final

    def _filtered(self, chunk: EventChunk) -> EventChunk:
        """Return what the filters leave of a chunk; what they do not is received here and now."""
        if self._chain is None:
            return chunk
        kept = self._chain.apply(chunk)
        gone, masked = len(chunk) - len(kept), 0
        for name, count in kept.removed.items():
            count -= chunk.removed.get(name, 0)
            if count:
                self.removed[name] = self.removed.get(name, 0) + count
                masked += count
        self.counters.received += gone
        self.counters.masked += masked
        self.counters.invalid += gone - masked
        return kept

    def _due(self, begin_us: int, dt_us: int, scores: NDArray[np.float64]) -> Iterable[int]:
        """Return the bins of a block in which the stream is decided."""
        match self._every:
            case "bin":
                return range(len(scores))
            case "end":
                return ()
            case "change":
                due, label = [], self._label
                for k, best in enumerate(scores.argmax(axis=1)):
                    if self._labels[best] != label:
                        label = self._labels[best]
                        due.append(k)
                return due
            case every_us:
                past = (begin_us + np.arange(len(scores) + 1) * dt_us) // every_us
                return np.flatnonzero(past[1:] != past[:-1]).tolist()

    def _check_finite(self) -> None:
        if not self._engine.finite(self.state).all():
            resolution = self.state.resolution
            raise EngineError(
                f"{self._stream}: the network left the finite numbers within {self.counters.steps} "
                f"steps of {resolution.dt_us} us by {resolution.method}; "
                "use another method (integral is stable where the network is), or another step"
            )

    def _decision(
        self,
        t_us: int,
        dt_us: int,
        scores: NDArray[np.float64],
        step_us: float,
        arrived_us: float,
        *,
        final: bool = False,
    ) -> Decision:
        self._label = self._labels[int(scores.argmax())]
        self._sequence += 1
        return Decision(
            stream=self._stream,
            sequence=self._sequence - 1,
            t_us=t_us,
            label=self._label,
            scores=scores.tolist(),
            dt_us=dt_us,
            latency_us=self._clock_us() - arrived_us,
            step_us=step_us,
            counters=self.counters.as_dict(),
            final=final,
        )
