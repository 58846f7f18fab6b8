"""The pipeline of one stream: events -> bins -> step -> decision.

Live and replay are this one pipeline; they differ in who feeds it and in the clock.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from zlib import crc32

from retempo.exporters.resolution import Resolution
from retempo.runtime.binner import Binner
from retempo.runtime.clock import Clock, host_clock_us
from retempo.runtime.counters import Counters
from retempo.runtime.deciding import Deciding, Every, by_engine
from retempo.runtime.decision import Decision
from retempo.runtime.direct import Direct, Payload, direct_of
from retempo.runtime.engine import Engine, Vector
from retempo.runtime.errors import CheckpointError, EngineError, InputError
from retempo.runtime.guard import Admitted, Guard, GuardRules, Jump, Refuted
from retempo.runtime.handover import Bins, Handover
from retempo.runtime.intake import Intake
from retempo.runtime.layout import BinLayout
from retempo.runtime.pipeline_saved import Parts, load_pipeline, save_pipeline
from retempo.runtime.readouts import Readout
from retempo.runtime.saved_state import Saved, part_of
from retempo.runtime.sparse_bins import Block, followed
from retempo.runtime.successor import Successor
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain

# A number that is not finite stays so: it is found before it can be the last word on a stream.
_CHECK_STEPS = 256

OnSteps = Callable[[int, float], None]
# What came of a message: how many bins, their length, how long they took, what was decided in them,
# and when that was, on the clock.
Taken = tuple[int, int, float, Sequence[Decision], float]


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
        guard: GuardRules | None = None,
    ) -> None:
        self.counters = Counters()
        self._engine = engine
        self._stream = stream
        # The steps that it may be told to take, ahead of a handover those of the next model.
        self._ladder = self._steps = ladder or {}
        self._layout = layout
        self._lateness_us = lateness_us
        # Told of every jump of the stream's clock that is believed.
        self.on_jump: Callable[[Jump], None] | None = None
        grid_us = math.lcm(engine.resolution.dt_us, *self._ladder)
        self._intake = Intake(
            self.counters, chain, None if guard is None else Guard(guard, grid_us)
        )
        self._binner: Bins = Binner(layout, engine.resolution.dt_us, self.counters, lateness_us)
        self.state = engine.new_state(1)
        self._direct: Direct | None = None
        self.deciding = Deciding(stream, by_engine(engine), new_readout, every, clock_us)
        self._clock_us = clock_us
        self._on_steps = on_steps
        # Streams that have begun together are not all checked at once.
        self._check_at = 1 + crc32(stream.encode()) % _CHECK_STEPS

    @property
    def removed(self) -> dict[str, int]:
        """How many events each filter has taken out."""
        return self._intake.removed

    @property
    def epoch(self) -> int:
        """The run of the stream that its decisions name."""
        return self.deciding.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.deciding.epoch = epoch

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
        if isinstance(self._binner, Handover) and self._binner.done:
            self._binner = self._binner.new
        admitted = self._intake.admit(chunk)
        match admitted:
            case (EventChunk() as whole,):
                return self._closed(self._intake.filtered(whole))
        return self._admitted(admitted)

    def _closed(self, chunk: EventChunk) -> Iterator[Block]:
        """Bin a chunk; a message as it came in is stepped along with it, see `runtime.direct`."""
        direct = None if chunk.packet is None else self._direct_now()
        return self._binner.feed(chunk) if direct is None else direct.take(chunk, self._clock_us)

    def _direct_now(self) -> Direct | None:
        direct = self._direct
        if direct is None or not direct.serves(self._binner, self.state):
            direct = self._direct = direct_of(self._engine, self._binner, self.state)
        return direct

    def plain(
        self, payload: Payload, count: int, t_start_us: int, t_end_us: int, arrived_us: float
    ) -> Taken | None:
        """Take a message in one call where it is plain, as nearly all live ones are.

        Args:
            payload: as `docs/wire-format.md` says, of the length that `count` says: bytes, or the
                array of a packet.
            count: how many events there are.
            t_start_us: what their times are counted from.
            t_end_us: the watermark.
            arrived_us: when it arrived, on the clock of the pipeline.

        Returns:
            What came of it; None where it is not plain: nothing has happened then, see `take`.

        Raises:
            EngineError: the network left the finite numbers.
        """
        direct, binner, intake = self._direct, self._binner, self._intake
        if direct is None or direct.binner is not binner or direct.state is not self.state:
            direct = self._direct_now()
        if direct is None or not intake.passes:
            return None
        deciding, clock_us = self.deciding, self._clock_us
        if direct.readout is not deciding.readout or direct.guard is not intake.guard:
            direct.read_by(intake.guard, deciding.readout)
        began_us = clock_us()
        bins = direct.take_plain(payload, count, t_start_us, t_end_us)
        if bins < 0:
            return None
        first = direct.read()
        if first is None:
            return self._long_plain(direct, began_us, arrived_us)
        counters = self.counters
        counters.received += count
        counters.binned += count
        ended_us = clock_us()
        if bins == 0:
            return 0, 0, 0.0, (), ended_us
        took_us, dt_us = ended_us - began_us, self.state.resolution.dt_us
        self._stepped(bins, took_us)
        scores, bests = direct.scores[:bins], direct.bests[:bins].tolist()
        decisions = deciding.decide_read(
            scores, bests, first * dt_us, dt_us, took_us / bins, ended_us - arrived_us, counters
        )
        return bins, dt_us, took_us, decisions, ended_us

    def _long_plain(self, direct: Direct, began_us: float, arrived_us: float) -> Taken:
        """Read and decide what a plain message has closed, and count where its events went."""
        block = direct.block(self._clock_us, began_us)
        if block is None:
            return 0, 0, 0.0, (), self._clock_us()
        if block.more or block.y is None:
            raise EngineError("a plain message closed more than a block; please report this")
        decisions = self.decide(block, block.y, block.took_us, arrived_us)
        return len(block.y), block.dt_us, block.took_us, decisions, self._clock_us()

    def _stepped(self, bins: int, took_us: float) -> None:
        if self._on_steps is not None:
            self._on_steps(bins, took_us)
        counters = self.counters
        counters.steps += bins
        if counters.steps >= self._check_at:
            self._check_at = counters.steps + _CHECK_STEPS
            self._check_finite()

    def close(self) -> Iterator[Block]:
        """Yield the bins that are still open, up to that of the last event."""
        self._intake.give_up_suspects()
        return self._binner.finish()

    def told_us(self, t_us: int) -> int:
        """Return a watermark as the stream's own time, which differs where its clock was set."""
        return self._intake.told_us(t_us)

    def shed(self, chunks: Sequence[EventChunk], *, reset: bool = False) -> Iterator[Block]:
        """Leave chunks out: their events are counted, and no bin of theirs is stepped.

        Yields the bins that are still open. The state then stays as it is until the event time at
        which the chunks end, or with `reset` begins anew there.
        """
        self._intake.give_up_suspects()
        yield from followed(self._binner.leap(self._intake.pass_over(chunks)))
        for chunk in chunks:
            self.counters.lost += chunk.lost
            self.counters.received += len(chunk)
            self.counters.shed += len(chunk)
        if reset:
            self._begin_anew()

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
        place = self.deciding.place(self.state.resolution.dt_us)
        return save_pipeline(self._parts(), self._engine.snapshot(self.state), place)

    def load(self, saved: Saved) -> None:
        """Let a pipeline that has seen nothing go on exactly where a saved one stood.

        A pipeline that refuses is to be thrown away: parts of it may have moved.

        Raises:
            CheckpointError: it is the state of a pipeline of another deployment.
        """
        place = load_pipeline(self._parts(), saved, list(self.deciding.by.labels))
        own = self._engine.resolution
        if place.dt_us != own.dt_us and place.dt_us not in self._ladder:
            raise CheckpointError(f"a stream steps at {own.dt_us} us, the saved one {place.dt_us}")
        resolution = own if place.dt_us == own.dt_us else self._ladder[place.dt_us]
        self.state = self._engine.restore(part_of(saved, "engine"), resolution)
        self.deciding.go_on(place)

    def _parts(self) -> Parts:
        binner = self._binner.new if isinstance(self._binner, Handover) else self._binner
        assert isinstance(binner, Binner)  # noqa: S101  (whoever saves has asked `handing_over`)
        readout = self.deciding.readout
        return Parts(binner, readout, self._intake, self.counters)

    def change_step(self, dt_us: int) -> None:
        """Step at another resolution from the next instant that is an edge of both bins.

        Raises:
            InputError: it is none of the pipeline's ladder.
        """
        if dt_us not in self._steps:
            known = ", ".join(map(str, self._steps)) or "none"
            raise InputError(f"a stream steps at {known} us, got {dt_us}")
        self._binner.gather(dt_us // self._binner.dt_us)

    @property
    def engine(self) -> Engine:
        """What steps the next block."""
        return self._engine

    @property
    def handing_over(self) -> bool:
        """Whether bins of a model that is no longer served are still to be stepped."""
        return isinstance(self._binner, Handover) and not self._binner.done

    def succeed(self, by: Successor) -> None:
        """Go on by another model from between two messages.

        Where its bins are these, what is open stays and it steps the next bin that closes. Else
        the present one steps up to an edge ahead, see `runtime.handover`.

        Raises:
            EngineError: at once or later, the network had left the finite numbers.
        """
        kept = self._binner
        if isinstance(kept, Binner) and not kept.gathers and by.bins_as(self._layout, kept.dt_us):
            self._take_over(by)
        else:
            new = Binner(by.layout, by.dt_us, self.counters, self._lateness_us)
            if kept.begun:
                # Until then a jump back goes on at an edge of both.
                self._intake.align(math.lcm(kept.dt_us, *self._steps, by.dt_us, *by.ladder))
                self._binner = Handover(kept, new, self._lateness_us, lambda: self._take_over(by))
            else:
                self._binner = new
                self._take_over(by)
        self._layout, self._steps = by.layout, by.ladder

    def _take_over(self, by: Successor) -> None:
        self._check_finite()
        before_us, resolution = self.state.resolution.dt_us, by.state.resolution
        if by.carry:
            self._engine.set_resolution(self.state, resolution)
            self.state = by.engine.load_state(self._engine.save_state(self.state), resolution)
        else:
            self.state = by.state
        self.deciding.succeed(by_engine(by.engine), by.new_readout, carry=by.carry)
        self._engine, self._ladder = by.engine, by.ladder
        self._intake.align(math.lcm(by.dt_us, *by.ladder))
        self.counters.switches += before_us != resolution.dt_us

    def prepare(self, block: Block) -> None:
        """Set the state's resolution to that of the block, before it is stepped."""
        if block.dt_us != self.state.resolution.dt_us:
            self._engine.set_resolution(self.state, self._ladder[block.dt_us])
            self.counters.switches += 1

    def step(self, block: Block) -> tuple[Vector, float]:
        """Return the outputs of a block, valid until the next, and how long stepping it took."""
        if block.y is not None:
            return block.y, block.took_us
        self.prepare(block)
        began_us = self._clock_us()
        y = self._engine.run(self.state, block.bins)
        return y, self._clock_us() - began_us

    def _step(self, block: Block, arrived_us: float) -> Iterator[Decision | None]:
        y, took_us = self.step(block)
        decisions = self.decide(block, y, took_us, arrived_us)
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
        bins, dt_us = len(y), block.dt_us
        self._stepped(bins, took_us)
        return self.deciding.decide(
            y, block.first * dt_us, dt_us, took_us / bins, arrived_us, self.counters
        )

    def end(self, arrived_us: float) -> Decision | None:
        """Return the final decision, None for a stream without a binned event.

        Raises:
            EngineError: the network left the finite numbers.
            CounterError: events went missing uncounted.
        """
        self._check_finite()
        final = self.deciding.final(arrived_us, self.counters)
        self.counters.check()
        return final

    def _admitted(self, admitted: Sequence[Admitted]) -> Iterator[Block]:
        for part in admitted:
            match part:
                case EventChunk():
                    yield from followed(self._closed(self._intake.filtered(part)))
                case Jump():
                    yield from self._jump(part)
                case Refuted():
                    self._intake.refuse(part)

    def _jump(self, jump: Jump) -> Iterator[Block]:
        self.counters.jumps += 1
        if self.on_jump is not None:
            self.on_jump(jump)
        if jump.action == "gap":
            # What is a little out of order behind the jump still finds its bin.
            yield from followed(self._binner.leap(jump.to_us - self._lateness_us))
        if jump.action == "reset":
            yield from followed(self._binner.leap(jump.to_us))
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.state = self._engine.new_state(1, self.state.resolution)
        self.deciding.begin_anew()

    def _check_finite(self) -> None:
        if not self._engine.finite(self.state).all():
            resolution = self.state.resolution
            raise EngineError(
                f"{self._stream}: the network left the finite numbers within {self.counters.steps} "
                f"steps of {resolution.dt_us} us by {resolution.method}; "
                "use another method (integral is stable where the network is), or another step"
            )
