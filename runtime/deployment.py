"""A loaded model and how its streams are read: what opens a pipeline a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.clock import Clock, host_clock_us
from retempo.runtime.deciding import Every
from retempo.runtime.engine import Engine, Vector
from retempo.runtime.guard import GuardRules, compile_guard
from retempo.runtime.layout import BinLayout, check_geometry, geometry_of, layout_of
from retempo.runtime.overload import Overload
from retempo.runtime.pipeline import OnSteps, Pipeline
from retempo.runtime.readouts import Readout, new_readout
from retempo.runtime.sparse_bins import Block
from retempo.runtime.successor import Successor
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain, Filter, compile_filters, geometry_after
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from retempo.sensors.wire import Cursor, decode, encode_message


@dataclass(frozen=True, slots=True)
class Deployment:
    """A loaded model and how its streams are read; opens a pipeline a stream.

    `ladder` holds the resolutions that a stream may be stepped at by their time step, which is a
    whole multiple of the engine's; `overload` says when it leaves the finest. Up to `batch` streams
    are stepped in one call, for which a due one waits `wait_us` at most. `guard` says which times
    are believed, all of them if None.
    """

    engine: Engine
    layout: BinLayout
    filters: tuple[Filter, ...] = ()
    readout: str = "mean"
    span_us: int = 100_000
    lateness_us: int = 0
    every: Every = "bin"
    clock_us: Clock = host_clock_us
    ladder: Mapping[int, Resolution] = field(default_factory=dict)
    overload: Overload = field(default_factory=Overload)
    batch: int = 1
    wait_us: int = 0
    guard: GuardRules | None = None

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
        on_steps: OnSteps | None = None,
    ) -> Pipeline:
        """Open a stream.

        Args:
            stream: its name.
            geometry: the sensor that it comes from.
            on_steps: told of each block how many bins were stepped and the microseconds it took.

        Raises:
            InputError: the model expects another sensor than leaves the filters.
            FilterError: a filter cannot work on the sensor.
        """
        filtered = geometry_after(self.filters, geometry)
        source = f"{stream} behind its filters" if self.filters else stream
        check_geometry(self.layout.spec, filtered, source, self.model.name)
        chain = Chain.start(self.filters, geometry) if self.filters else None
        return self._pipeline(stream, chain, on_steps)

    def step(self, jobs: Sequence[tuple[Pipeline, Block]]) -> list[tuple[Vector, float]]:
        """Step the blocks of several streams, together where that is faster.

        Returns:
            For each the outputs, `(bins, labels)`, valid until its stream's next, and its share of
            the microseconds that it took.
        """
        for pipeline, block in jobs:
            pipeline.prepare(block)
        # A stream that hands over is still stepped by the engine before this one.
        engines = {id(pipeline.engine): pipeline.engine for pipeline, _ in jobs}
        if len(engines) > 1:
            return [self.step([job])[0] for job in jobs]
        (engine,) = engines.values()
        began_us = self.clock_us()
        outputs = engine.run_many([(pipeline.state, block.bins) for pipeline, block in jobs])
        share_us = (self.clock_us() - began_us) / max(sum(map(len, outputs)), 1)
        return [(y, share_us * len(y)) for y in outputs]

    def successor(self, *, carry: bool) -> Successor:
        """Return what a stream of another deployment goes on with, see `Pipeline.succeed`."""
        state = self.engine.new_state(1)
        return Successor(self.engine, self.layout, state, self._new_readout, self.ladder, carry)

    def _new_readout(self) -> Readout:
        return new_readout(self.readout, self.engine.resolution.dt_us, self.span_us)

    def _pipeline(self, stream: str, chain: Chain | None, on_steps: OnSteps | None) -> Pipeline:
        return Pipeline(
            self.engine,
            self.layout,
            stream=stream,
            new_readout=self._new_readout,
            chain=chain,
            lateness_us=self.lateness_us,
            every=self.every,
            clock_us=self.clock_us,
            on_steps=on_steps,
            ladder=self.ladder,
            guard=self.guard,
        )

    def warm_up(self) -> None:
        """Step one event of a stream that nobody sees: kernels are compiled and buffers mapped."""
        compile_filters(self.filters)
        if self.guard is not None:
            compile_guard()
        # A recording comes as columns, a live stream as messages.
        for chunk in (_one_event(self.geometry), _as_message(_one_event(self.geometry))):
            pipeline = self._pipeline("warm-up", None, None)
            for _ in (*pipeline.feed(chunk, 0.0), *pipeline.finish(0.0)):
                pass


def _as_message(chunk: EventChunk) -> EventChunk:
    geometry = ChannelGeometry(1) if chunk.channel is not None else GridGeometry(1, 1)
    return decode(encode_message("events", chunk, Cursor("warm-up", geometry, 0))).chunk


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
