"""The pipeline of one stream: events -> bins -> step -> decision.

Live and replay are this one pipeline; they differ in who feeds it and in the clock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.step_model import StepModel
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.engine import Engine
from retempo.runtime.errors import EngineError
from retempo.runtime.layout import BinLayout, check_geometry, geometry_of, layout_of
from retempo.runtime.readouts import Accumulate, new_readout
from retempo.runtime.sparse_bins import with_zeros
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain, Filter, compile_filters, geometry_after
from retempo.sensors.geometry import Geometry, GridGeometry

# A number that is not finite stays so: it is found before it can be the last word on a stream.
_CHECK_STEPS = 256

# When a stream is decided besides at its end: at each bin, when the label changes, never, or in the
# first bin that ends at or after each multiple of so many microseconds.
Every = Literal["bin", "change", "end"] | int
Clock = Callable[[], float]
OnStep = Callable[[int, NDArray[np.float32], float], None]


def host_clock_us() -> float:
    """Return the host's monotonic clock in microseconds."""
    return time.perf_counter_ns() / 1e3


class Pipeline:
    """One stream from its first event to its end. Owns no socket and reads only the given clock."""

    def __init__(
        self,
        engine: Engine,
        layout: BinLayout,
        *,
        stream: str,
        readout: Accumulate,
        chain: Chain | None = None,
        lateness_us: int = 0,
        every: Every = "bin",
        clock_us: Clock = host_clock_us,
        on_step: OnStep | None = None,
    ) -> None:
        self.counters = Counters()
        self.removed: dict[str, int] = {}
        self._chain = chain
        self._engine = engine
        self._stream = stream
        self._dt_us = engine.resolution.dt_us
        self._labels = engine.model.contract.network.labels
        self._inputs = layout.inputs
        self._binner = Binner(layout, self._dt_us, self.counters, lateness_us)
        self._state = engine.new_state(1)
        self._readout = readout
        self._every = every
        self._clock_us = clock_us
        self._on_step = on_step
        self._label = ""
        self._sequence = 0
        self._last: tuple[int, NDArray[np.float64], float] | None = None

    def feed(self, chunk: EventChunk, arrived_us: float) -> Iterator[Decision | None]:
        """Step every bin that the chunk closes; yields its decision, None where there is none.

        So whoever runs it looks up once a step, also through a long silence. If it is left before
        its end, the events that it had not reached are not received.

        Args:
            chunk: the next events of the stream.
            arrived_us: when they arrived, on the clock of the pipeline.

        Raises:
            EngineError: the network left the finite numbers.
        """
        for block in self._binner.feed(self._filtered(chunk)):
            for k, row in enumerate(with_zeros(block.bins, self._inputs)):
                yield self._step(block.first + k, row, arrived_us)

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

    def finish(self, arrived_us: float) -> Iterator[Decision | None]:
        """Step what is still open and end the stream; the last decision is final.

        A stream without a binned event ends without a decision.

        Raises:
            EngineError: as `feed`.
            CounterError: events went missing uncounted.
        """
        for block in self._binner.finish():
            for k, row in enumerate(with_zeros(block.bins, self._inputs)):
                yield self._step(block.first + k, row, arrived_us)
        self._check_finite()
        if self._last is not None:
            yield self._decide(arrived_us, final=True)
        self.counters.check()

    def _step(self, number: int, row: NDArray[np.float32], arrived_us: float) -> Decision | None:
        np.copyto(self._state.x[0], row)
        began_us = self._clock_us()
        y = self._engine.step(self._state)[0]
        step_us = self._clock_us() - began_us
        self.counters.steps += 1
        if self.counters.steps % _CHECK_STEPS == 0:
            self._check_finite()
        self._last = ((number + 1) * self._dt_us, self._readout(y), step_us)
        if self._on_step is not None:
            self._on_step(self._last[0], y, step_us)
        return self._decide(arrived_us, final=False) if self._is_due(*self._last[:2]) else None

    def _is_due(self, t_us: int, scores: NDArray[np.float64]) -> bool:
        match self._every:
            case "bin":
                return True
            case "end":
                return False
            case "change":
                return self._labels[int(scores.argmax())] != self._label
            case every_us:
                return t_us // every_us != (t_us - self._dt_us) // every_us

    def _check_finite(self) -> None:
        if not self._engine.finite(self._state).all():
            resolution = self._engine.resolution
            raise EngineError(
                f"{self._stream}: the network left the finite numbers within {self.counters.steps} "
                f"steps of {resolution.dt_us} us by {resolution.method}; "
                "use another method (integral is stable where the network is), or another step"
            )

    def _decide(self, arrived_us: float, *, final: bool) -> Decision:
        assert self._last is not None  # noqa: S101  (a decision follows a step)
        t_us, scores, step_us = self._last
        self._label = self._labels[int(scores.argmax())]
        self._sequence += 1
        return Decision(
            stream=self._stream,
            sequence=self._sequence - 1,
            t_us=t_us,
            label=self._label,
            scores=scores.tolist(),
            dt_us=self._dt_us,
            latency_us=self._clock_us() - arrived_us,
            step_us=step_us,
            counters=self.counters.as_dict(),
            final=final,
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """A loaded model and how its streams are read; opens a pipeline a stream."""

    engine: Engine
    layout: BinLayout
    filters: tuple[Filter, ...] = ()
    readout: str = "mean"
    span_us: int = 100_000
    lateness_us: int = 0
    every: Every = "bin"
    clock_us: Clock = host_clock_us

    @property
    def model(self) -> StepModel:
        """The model that decides."""
        return self.engine.model

    @property
    def geometry(self) -> Geometry:
        """The sensor that the model expects behind the filters."""
        return geometry_of(self.layout.spec)

    def open(
        self,
        stream: str,
        geometry: Geometry,
        on_step: OnStep | None = None,
    ) -> Pipeline:
        """Open a stream.

        Args:
            stream: its name.
            geometry: the sensor that it comes from.
            on_step: told each step's event time, `y` `(labels,)` and duration in microseconds.

        Raises:
            InputError: the model expects another sensor than leaves the filters.
            FilterError: a filter cannot work on the sensor.
        """
        filtered = geometry_after(self.filters, geometry)
        source = f"{stream} behind its filters" if self.filters else stream
        check_geometry(self.layout.spec, filtered, source, self.model.name)
        chain = Chain.start(self.filters, geometry) if self.filters else None
        return self._pipeline(stream, chain, on_step)

    def _pipeline(self, stream: str, chain: Chain | None, on_step: OnStep | None) -> Pipeline:
        return Pipeline(
            self.engine,
            self.layout,
            stream=stream,
            readout=new_readout(self.readout, self.engine.resolution.dt_us, self.span_us),
            chain=chain,
            lateness_us=self.lateness_us,
            every=self.every,
            clock_us=self.clock_us,
            on_step=on_step,
        )

    def warm_up(self) -> None:
        """Step one event of a stream that nobody sees: kernels are compiled and buffers mapped."""
        compile_filters(self.filters)
        pipeline = self._pipeline("warm-up", None, None)
        for _ in (*pipeline.feed(_one_event(self.geometry), 0.0), *pipeline.finish(0.0)):
            pass


def _one_event(geometry: Geometry) -> EventChunk:
    t_us, address = np.zeros(1, np.int64), np.zeros(1, np.uint16)
    if isinstance(geometry, GridGeometry):
        return EventChunk(t_us, 0, x=address, y=address, on=np.zeros(1, np.bool_))
    return EventChunk(t_us, 0, channel=address)


def deploy(
    engine: Engine,
    *,
    mask: NDArray[np.bool_] | None = None,
    filters: Sequence[Filter] = (),
    every: Every = "bin",
) -> Deployment:
    """Return the plainest deployment of an engine: the mean readout, no lateness."""
    layout = layout_of(engine.model.contract.network.input, mask)
    return Deployment(engine, layout, tuple(filters), every=every)
