"""Who is stepped when: streams take turns, a block of bins each.

So a stream that sends much, or whose silence is long, holds none of the others up for longer than a
block. Due blocks of several streams are stepped together where the engine gains by that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.engine import Vector
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_stream import FeedStream, Waiting
from retempo.runtime.overload import Delay, Rung, govern
from retempo.runtime.recorder import Nobody, Recorder
from retempo.runtime.sparse_bins import Block
from retempo.sensors.wire_header import Glance

# How many that wait are taken when another comes in: more than one, so that they grow fewer.
_CATCH_UP = 2
# Over how long the share of busy time is taken.
_BUSY_US = 250_000


class Outcome(Protocol):
    """Who is told what becomes of messages."""

    def stepped(self, stream: FeedStream, message: Waiting) -> None:
        """A message has been stepped whole, or shed."""
        ...

    def failed(self, stream: FeedStream, error: Exception) -> None:
        """A stream can go no further."""
        ...


@dataclass(slots=True)
class _Busy:
    """The share of the time that turns take."""

    share: float = 0.0
    began_us: float = 0.0
    worked_us: float = 0.0

    def add(self, began_us: float, ended_us: float) -> None:
        self.worked_us += ended_us - began_us
        if ended_us - self.began_us >= _BUSY_US:
            self.share = self.worked_us / (ended_us - self.began_us)
            self.began_us, self.worked_us = ended_us, 0.0

    def now(self, now_us: float) -> float:
        """Return the share, also where there has been nothing to do for long."""
        since_us = now_us - self.began_us
        return self.share if since_us < 2 * _BUSY_US else self.worked_us / since_us


class Rounds:
    """The streams that have something to step."""

    def __init__(
        self,
        deployment: Deployment,
        publish: Callable[[Decision], None],
        outcome: Outcome,
        log: EventLog,
        recorder: Recorder | None = None,
    ) -> None:
        self._deployment = deployment
        self._publish = publish
        self._outcome = outcome
        self._log = log
        self._recorder = recorder or Nobody()
        self._ready: dict[str, FeedStream] = {}
        self._busy = _Busy()
        self._steps_us = tuple(sorted(deployment.ladder))

    def adopt(self, deployment: Deployment) -> None:
        """Step by another deployment from now on."""
        self._deployment = deployment
        self._steps_us = tuple(sorted(deployment.ladder))

    def settle(self, stream: FeedStream) -> None:
        """Step what is left of the message that a stream is in."""
        while stream.blocks is not None:
            self._round([stream])

    def begin(self, stream: FeedStream, others: Iterable[FeedStream]) -> None:
        """Let a stream begin at the finest time step of those that are open: the load is shared."""
        index = min((other.rung.index for other in others), default=0)
        if index:
            now_us = self._deployment.clock_us()
            calm_us = float(self._deployment.overload.calm_us)
            stream.rung = Rung(index, now_us, patience_us=calm_us)
            self._change_step(stream, self._steps_us[index])

    def add(self, stream: FeedStream, message: Waiting) -> None:
        """Let a message wait for its stream's turn."""
        stream.waiting.append(message)
        self._ready[stream.name] = stream

    def at_once(self, stream: FeedStream, payload: bytes, seen: Glance, arrived_us: float) -> bool:
        """Step a stream's next message ahead of all turns, if it is plain and nothing waits.

        It takes less than to let it wait. False where it is to wait: nothing has happened to it
        then. A stream that is falling behind lets its messages wait, so that its policy can choose.
        """
        overload, t_end_us = self._deployment.overload, seen.t_end_us
        if stream.blocks is not None or self._recorder.keeps_frames:
            return False
        if overload.policy != "block" and (
            stream.waiting or stream.delay.behind_us(arrived_us, t_end_us) > overload.behind_us / 2
        ):
            return False
        try:
            # What waits is taken before, faster than it comes in, or it would wait for ever.
            if stream.waiting and not self._catch_up(stream):
                return False
            taken = stream.pipeline.plain(
                payload, seen.count, seen.t_start_us, t_end_us, arrived_us
            )
            if taken is None:
                return False
            bins, dt_us, took_us, decisions, now_us = taken
            self._tell(stream, bins, dt_us, took_us, decisions)
        except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
            self._fail([stream], error)
            return True
        self._busy.add(arrived_us, now_us)
        self._govern(stream, t_end_us, now_us)
        return True

    def _catch_up(self, stream: FeedStream) -> bool:
        """Take some of what waits; whether nothing does any more."""
        for _ in range(_CATCH_UP):
            if stream.waiting and stream.blocks is None:
                self._take_next(stream)
        return not stream.waiting and stream.blocks is None

    def _tell(
        self,
        stream: FeedStream,
        bins: int,
        dt_us: int,
        took_us: float,
        decisions: Sequence[Decision],
    ) -> None:
        """Take note of bins that were stepped, and publish what was decided in them."""
        stream.timings.note(dt_us, bins, took_us, decisions)
        for decision in decisions:
            self._publish(decision)

    def remove(self, stream: FeedStream) -> None:
        """Forget a stream; what of it waits is not received."""
        self._ready.pop(stream.name, None)
        stream.waiting.clear()
        stream.blocks = None

    def make_room(self, stream: FeedStream, most: int) -> None:
        """Step what waits of a stream until fewer messages than `most` do."""
        while len(stream.waiting) >= most:
            self._round([stream])

    def drain(self, stream: FeedStream) -> None:
        """Step all that waits of a stream at once."""
        while stream.name in self._ready:
            self._round([stream])

    def rest_us(self, open_streams: int) -> float | None:
        """Return how long a round may wait for more streams to be due, None if none has work.

        0 unless the engine steps several streams together.
        """
        if not self._ready:
            return None
        wait_us = self._deployment.wait_us
        if not wait_us or len(self._ready) >= min(open_streams, self._deployment.batch):
            return 0.0
        first_us = min(
            (s.waiting[0].arrived_us for s in self._ready.values() if s.waiting), default=0.0
        )
        return max(0.0, first_us + wait_us - self._deployment.clock_us())

    def busy(self) -> float:
        """Return the share of the time that turns take, of late."""
        return self._busy.now(self._deployment.clock_us())

    def turn(self) -> None:
        """Step a block of every stream that has one."""
        began_us = self._deployment.clock_us()
        self._round(list(self._ready.values()))
        self._busy.add(began_us, self._deployment.clock_us())

    def _round(self, streams: list[FeedStream]) -> None:
        due = []
        for stream in streams:
            try:
                block = self._next_block(stream)
            except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
                self._fail([stream], error)
            else:
                if block is not None and block.y is not None:
                    self._decide(stream, block, block.y, block.took_us)
                elif block is not None:
                    due.append((stream, block))
        # Who has most to catch up on goes last: the others do not wait for it.
        due.sort(key=_bins)
        together = self._deployment.batch
        for begin in range(0, len(due), together):
            self._step(due[begin : begin + together])

    def _next_block(self, stream: FeedStream) -> Block | None:
        if stream.blocks is None:
            if not stream.waiting:
                self._ready.pop(stream.name, None)
                return None
            self._begin(stream)
            if stream.blocks is None:
                return None
        block = next(stream.blocks, None)
        if block is None:
            self._settle(stream)
        return block

    def _settle(self, stream: FeedStream) -> None:
        """Go on behind a message that has been stepped whole."""
        message, stream.blocks = stream.message, None
        assert message is not None  # noqa: S101
        self._settled(stream, message)
        if not message.ends:
            reached_us = stream.pipeline.told_us(message.chunk.t_end_us)
            self._govern(stream, reached_us, self._deployment.clock_us())

    def _settled(self, stream: FeedStream, message: Waiting) -> None:
        if not stream.waiting:
            self._ready.pop(stream.name, None)
        self._outcome.stepped(stream, message)

    def _begin(self, stream: FeedStream) -> None:
        """Begin the next message; what is to be shed goes first, as one message without events."""
        shed = self._to_shed(stream) if len(stream.waiting) > 1 else None
        if shed:
            stream.message = shed[-1]
            chunks = [message.chunk for message in shed]
            reset = self._deployment.overload.policy == "reset"
            self._recorder.shed(stream.name, shed, reset=reset)
            stream.blocks = stream.pipeline.shed(chunks, reset=reset)
            events = sum(map(len, chunks))
            stream.timings.note_shed(self._deployment.overload.policy, events)
            self._log.warning("shed", stream=stream.name, messages=len(shed), events=events)
            return
        self._take_next(stream)

    def _take_next(self, stream: FeedStream) -> None:
        """Begin the next message; a plain one is stepped whole."""
        stream.message = message = stream.waiting.popleft()
        self._recorder.taken(stream.name, message)
        chunk, packet = message.chunk, message.chunk.packet
        if packet is not None and not (message.ends or chunk.lost):
            taken = stream.pipeline.plain(
                packet.raw, packet.count, packet.t_start_us, chunk.t_end_us, message.arrived_us
            )
            if taken is not None:
                bins, dt_us, took_us, decisions, now_us = taken
                self._tell(stream, bins, dt_us, took_us, decisions)
                self._settled(stream, message)
                self._govern(stream, chunk.t_end_us, now_us)
                return
        stream.blocks = stream.pipeline.take(chunk)

    def _to_shed(self, stream: FeedStream) -> list[Waiting]:
        """Take from what waits, but for the last, what is older than half of the allowed delay."""
        overload, waiting = self._deployment.overload, stream.waiting
        if overload.policy not in ("shed_oldest", "reset"):
            return []
        now_us = self._deployment.clock_us()

        def behind_us(message: Waiting) -> float:
            return stream.delay.behind_us(now_us, stream.pipeline.told_us(message.chunk.t_end_us))

        shed: list[Waiting] = []
        if behind_us(waiting[0]) > overload.behind_us:
            while len(waiting) > 1 and behind_us(waiting[0]) > overload.behind_us / 2:
                shed.append(waiting.popleft())
        return shed

    def _step(self, jobs: list[tuple[FeedStream, Block]]) -> None:
        try:
            outputs = self._deployment.step([(stream.pipeline, block) for stream, block in jobs])
        except Exception as error:  # noqa: BLE001
            self._fail([stream for stream, _ in jobs], error)
            return
        for (stream, block), (y, took_us) in zip(jobs, outputs, strict=True):
            self._decide(stream, block, y, took_us)

    def _decide(self, stream: FeedStream, block: Block, y: Vector, took_us: float) -> None:
        assert stream.message is not None  # noqa: S101
        try:
            arrived_us = stream.message.arrived_us
            decisions = stream.pipeline.decide(block, y, took_us, arrived_us)
            self._tell(stream, len(y), block.dt_us, took_us, decisions)
            if not block.more:
                self._settle(stream)
        except Exception as error:  # noqa: BLE001
            self._fail([stream], error)

    def _govern(self, stream: FeedStream, reached_us: int, now_us: float) -> None:
        overload = self._deployment.overload
        if stream.pipeline.counters.jumps != stream.jumps:
            # Where the stream's time stands to the host's is to be seen anew.
            stream.delay, stream.jumps = Delay(), stream.pipeline.counters.jumps
        behind_us = stream.delay.stepped(now_us, reached_us)
        if not stream.waiting:
            behind_us = 0.0
        if overload.policy != "coarsen":
            return
        highest = len(self._steps_us) - 1
        rung = govern(stream.rung, overload, highest, now_us, behind_us, self._busy.share)
        if rung.index != stream.rung.index:
            self._change(stream, rung, behind_us)
        stream.rung = rung

    def _change(self, stream: FeedStream, rung: Rung, behind_us: float) -> None:
        dt_us = self._steps_us[rung.index]
        self._change_step(stream, dt_us)
        self._log.info(
            "coarsened" if rung.index > stream.rung.index else "refined",
            stream=stream.name,
            dt_us=dt_us,
            behind_us=round(behind_us),
            busy=round(self._busy.share, 2),
        )

    def _change_step(self, stream: FeedStream, dt_us: int) -> None:
        self._recorder.changed(stream.name, dt_us)
        stream.pipeline.change_step(dt_us)

    def _fail(self, streams: list[FeedStream], error: Exception) -> None:
        for stream in streams:
            self.remove(stream)
            self._outcome.failed(stream, error)


def _bins(job: tuple[FeedStream, Block]) -> int:
    return len(job[1].bins.starts)
