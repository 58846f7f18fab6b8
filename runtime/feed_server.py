"""The daemon's side of the feed: which streams are open, and what becomes of each message.

It owns no socket: messages are handed in, replies and decisions go out through two functions. One
stream's failure closes that stream and no other.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from secrets import randbits
from typing import Literal

import msgspec

from retempo.runtime.decision import Decision
from retempo.runtime.decision_history import DecisionHistory
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CounterError, InputError, RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import (
    GRACE_US,
    KEEPALIVE_S,
    REPLY_VERSION,
    WINDOW,
    Credit,
    Ended,
    Inbox,
    Refusal,
    Rejection,
    Reply,
)
from retempo.runtime.feed_stream import FeedReport, FeedStream, Waiting
from retempo.runtime.finished import Finished, FinishedStreams
from retempo.runtime.gauges import Gauges
from retempo.runtime.guard import Jump
from retempo.runtime.overload import Rung
from retempo.runtime.recorder import Nobody, Recorder
from retempo.runtime.rounds import Rounds
from retempo.runtime.snapshot import ServerSnapshot, take_snapshot
from retempo.runtime.timings import Timings
from retempo.sensors.errors import SensorError, WireError
from retempo.sensors.events import EventChunk
from retempo.sensors.wire import Message, decode
from retempo.sensors.wire_header import Buffer

MAX_STREAMS = 1_024

# "full" is a peer that does not read: what it was to be told waits until the next round.
Delivery = Literal["sent", "full", "gone"]


class FeedServer:
    """Serves the streams of one deployment.

    `history` holds the latest decisions as they were published. `keeps_checkpoints` is set by who
    takes them, before the first stream opens: senders then keep their messages until
    `FeedStream.durable` says that a checkpoint holds them. `checkpointed_us` is when the last one
    was written, on the deployment's clock.
    """

    def __init__(
        self,
        deployment: Deployment,
        send: Callable[[bytes, Reply], Delivery],
        publish: Callable[[Decision], None],
        log: EventLog,
        *,
        window: int = WINDOW,
        grace_us: int = GRACE_US,
        history: DecisionHistory | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.report = FeedReport()
        self.history = DecisionHistory() if history is None else history
        self.keeps_checkpoints = False
        self.gauges = Gauges()
        self.checkpointed_us: float | None = None
        self._deployment = deployment
        self._send = send
        self._publish = publish
        self._log = log
        self._window = window
        self._grace_us = grace_us
        self._past = Timings()
        self._streams: dict[str, FeedStream] = {}
        self._finished = FinishedStreams()
        self._recorder = recorder or Nobody()
        self._ended: list[tuple[bytes, Ended]] = []
        self._rounds = Rounds(deployment, publish, self, log, self._recorder)
        self._told_us = deployment.clock_us()

    def receive(self, owner: bytes, frames: Sequence[Buffer]) -> None:
        """Act on one message of the connection `owner`; events wait for their stream's turn."""
        arrived_us = self._deployment.clock_us()
        self.report.messages += 1
        try:
            message = decode(frames)
        except WireError as error:
            self._reject(owner, str(error))
            return
        if message.kind == "open":
            self._open(owner, message, frames[0])
            return
        stream = self._streams.get(message.stream)
        if stream is None or stream.owner != owner or stream.epoch != message.epoch:
            taken = "is fed by another sender" if stream else "is not open; send open first"
            # Its own run over another connection: who is still there has to say so by `open`.
            again = stream is None or stream.epoch == message.epoch
            self._refuse(owner, message, f"the stream {taken}", again=again)
        elif message.geometry is not stream.geometry and message.geometry != stream.geometry:
            was = f"{stream.name!r} was opened as {stream.geometry}"
            self._reject(owner, f"{was}, a message says {message.geometry}")
        elif message.kind == "events" and stream.inbox.is_duplicate(message):
            stream.unanswered += 1
            self._log.warning("duplicate", stream=stream.name, sequence=message.sequence)
        else:
            if len(stream.waiting) >= self._window:
                # Who ignores the window waits in the socket, as the loop then does not read on.
                self._rounds.make_room(stream, self._window)
                if self._streams.get(stream.name) is not stream:
                    return  # it failed over what waited, and its sender has been told
            chunk = self._take(stream, message)
            ends = message.kind == "end"
            if not ends:
                stream.clock.observe(chunk.t_end_us, arrived_us)
            kept = tuple(frames) if self._recorder.keeps_frames else ()
            place = replace(stream.inbox) if self.keeps_checkpoints else None
            waiting = Waiting(chunk, message.sequence, arrived_us, ends, kept, place)
            self._rounds.add(stream, waiting)

    def snapshot(self) -> ServerSnapshot:
        """Return a copy of what is counted; call it between two actions."""
        return take_snapshot(
            self._streams.values(),
            self.report,
            self._past,
            self._rounds.busy(),
            self._deployment.clock_us(),
            keeps_checkpoints=self.keeps_checkpoints,
            checkpointed_us=self.checkpointed_us,
        )

    def rest_us(self) -> float | None:
        """Return how long the next turn may wait, None while there is nothing to step."""
        return self._rounds.rest_us(len(self._streams))

    def turn(self) -> None:
        """Step a block of bins of every stream that has one."""
        self._rounds.turn()

    def acknowledge(self) -> None:
        """Answer every stream that has been stepped since its last credit."""
        for stream in list(self._streams.values()):
            if stream.unanswered:
                self._credit(stream)

    def sweep(self) -> None:
        """Once in `KEEPALIVE_S`: tell every sender that we live, and finish whose is gone."""
        if not self._keepalive_due():
            return
        for stream in self._keep_alive():
            if stream.gone_us is None:
                stream.owner, stream.gone_us = b"", self._told_us
                self._log.info("sender_gone", stream=stream.name, grace_us=self._grace_us)
            if self._told_us - stream.gone_us >= self._grace_us:
                self._abandon(stream, "its sender is gone")

    @property
    def streams(self) -> Mapping[str, FeedStream]:
        """The open streams by name."""
        return self._streams

    @property
    def deployment(self) -> Deployment:
        """What new streams are opened by."""
        return self._deployment

    def swap(self, new: Deployment, *, carry: bool) -> None:
        """Go on by another deployment: every open stream moves between two of its messages.

        Args:
            new: reads streams as the present one does, but for model, time step and method.
            carry: whether the network is the same, so that states go on, see `Pipeline.succeed`.

        Raises:
            InputError: streams are open and the model expects another sensor; nothing changes.
            EngineError: it cannot hold as many streams; nothing changes.
        """
        if self._streams and new.geometry != self._deployment.geometry:
            raise InputError(
                f"{new.model.name} expects {new.geometry} inputs, {len(self._streams)} streams are "
                f"open for {self._deployment.geometry}; stop them first, or restart the daemon"
            )
        for stream in list(self._streams.values()):
            self._rounds.settle(stream)
        successors = {name: new.successor(carry=carry) for name in self._streams}
        self._deployment = new
        self._rounds.adopt(new)
        for name, successor in successors.items():
            stream = self._streams[name]
            try:
                stream.pipeline.succeed(successor)
            except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
                self.failed(stream, error)
            stream.rung = Rung()
        self._recorder.swapped(new, self._streams.values())
        self.report.swaps += 1

    def tell_ended(self, durable: Container[tuple[str, int]] | None = None) -> None:
        """Tell senders that their streams have ended.

        Where checkpoints are kept they are told so when one holds it, names and epochs in
        `durable`: else a restart would wait for a sender that believes itself done.
        """
        waiting, self._ended = self._ended, []
        for owner, ended in waiting:
            if durable is None or (ended.stream, ended.epoch) in durable:
                self._send(owner, ended)
            else:
                self._ended.append((owner, ended))

    @property
    def finished(self) -> FinishedStreams:
        """The streams that were finished lately."""
        return self._finished

    def restore(self, streams: Iterable[FeedStream]) -> None:
        """Open streams that a checkpoint holds; they wait for their senders to come back."""
        now_us = self._deployment.clock_us()
        for stream in streams:
            stream.gone_us = now_us
            stream.pipeline.epoch = stream.decided_as
            stream.pipeline.on_jump = partial(self._jumped, stream.name)
            self._streams[stream.name] = stream
            self._recorder.restored(stream, self._deployment)
            self.report.streams += 1
            self.report.restored += 1
            self._log.info("stream_restored", stream=stream.name, sequence=stream.stepped + 1)

    def close(self) -> None:
        """Finish every open stream: its final decision goes out, its sender is told.

        Where checkpoints are kept, streams are stepped as far as they have been received and stay
        open: the last checkpoint takes them, and their senders wait for the next daemon.
        """
        for stream in list(self._streams.values()):
            if self.keeps_checkpoints:
                self._lay_down(stream)
                continue
            if self._finish(stream, self._deployment.clock_us()):
                self._tell_refusal(stream, "the daemon is shutting down", again=True)

    def _open(self, owner: bytes, message: Message, header: Buffer) -> None:
        stream = self._streams.get(message.stream)
        if stream is not None and not self._make_way(stream, owner, message):
            return
        before = self._finished.find(message.stream, message.epoch)
        if before is not None and before.counters is not None:
            ended = Ended(REPLY_VERSION, message.stream, message.epoch, before.counters)
            self._send(owner, ended)
            return
        if len(self._streams) >= MAX_STREAMS:
            self._refuse(owner, message, f"{MAX_STREAMS} streams are open, and that is the most")
            return
        try:
            pipeline = self._deployment.open(message.stream, message.geometry)
        except (RunError, SensorError) as error:
            self._refuse(owner, message, str(error))
            return
        except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
            self._refuse(owner, message, f"it cannot be opened: {type(error).__name__}: {error}")
            return
        inbox = Inbox.at(message) if before is None else before.inbox()
        # In the middle of an epoch a new state begins, and with it another run of decisions.
        run = randbits(61) if inbox.expected or before is not None else None
        stream = FeedStream(
            name=message.stream,
            epoch=message.epoch,
            owner=owner,
            geometry=message.geometry,
            pipeline=pipeline,
            inbox=inbox,
            stepped=inbox.expected - 1,
            durable=inbox.expected - 1 if self.keeps_checkpoints else None,
            run=run,
            place=replace(inbox),
        )
        pipeline.epoch = stream.decided_as
        self._recorder.opened(stream.name, header, pipeline.epoch)
        pipeline.on_jump = partial(self._jumped, stream.name)
        self._rounds.begin(stream, self._streams.values())
        self._streams[message.stream] = stream
        self.report.streams += 1
        self._log.info(
            "stream_opened",
            stream=stream.name,
            geometry=str(message.geometry),
            sequence=inbox.expected,
        )
        self._credit(stream)

    def _jumped(self, stream: str, jump: Jump) -> None:
        self._log.warning("jump", stream=stream, **msgspec.to_builtins(jump))

    def _make_way(self, stream: FeedStream, owner: bytes, message: Message) -> bool:
        """Whether a stream may be opened although its name is taken; answers it if not."""
        if stream.epoch == message.epoch:
            self._go_on(stream, owner, message)
            return False
        if stream.owner != owner and self._credit(stream) != "gone":
            self._refuse(owner, message, "another sender feeds a stream of this name")
            return False
        self._abandon(stream, "its sender has started anew")
        return True

    def _go_on(self, stream: FeedStream, owner: bytes, message: Message) -> None:
        """Let the same run of the same sender go on over another connection, where it stood.

        Nobody else knows its epoch, so it need not be known that the old connection is gone.
        """
        if message.geometry != stream.geometry:
            was = f"it was opened as {stream.geometry}"
            self._refuse(owner, message, f"{was}, now it is {message.geometry}")
            return
        if stream.owner != owner:
            stream.owner, stream.gone_us = owner, None
            self.report.resumed += 1
            self._log.info("sender_back", stream=stream.name, sequence=stream.stepped + 1)
        self._credit(stream)

    def stepped(self, stream: FeedStream, message: Waiting) -> None:
        """See `runtime.rounds.Outcome`."""
        if message.ends:
            if self._finish(stream, message.arrived_us, ended=True):
                counters = stream.pipeline.counters.as_dict()
                ended = Ended(REPLY_VERSION, stream.name, stream.epoch, counters)
                self._ended.append((stream.owner, ended))
                if not self.keeps_checkpoints:
                    self.tell_ended()
            return
        stream.stepped, stream.place = message.sequence, message.place
        stream.unanswered += 1
        if stream.unanswered >= max(1, self._window // 4):
            self._credit(stream)

    def _take(self, stream: FeedStream, message: Message) -> EventChunk:
        """Move behind a message; returns its chunk, which says what was lost before it."""
        missing = stream.inbox.missing
        lost = stream.inbox.take(message)
        if stream.inbox.missing > missing:
            self._log.warning(
                "gap", stream=stream.name, messages=stream.inbox.missing - missing, events=lost
            )
        return replace(message.chunk, lost=lost) if lost else message.chunk

    def _keepalive_due(self) -> bool:
        return self._deployment.clock_us() - self._told_us >= KEEPALIVE_S * 1e6

    def _keep_alive(self) -> list[FeedStream]:
        """Send every sender a sign of life; returns the streams whose sender is gone."""
        self._told_us = self._deployment.clock_us()
        return [stream for stream in self._streams.values() if self._credit(stream) == "gone"]

    def _finish(self, stream: FeedStream, arrived_us: float, *, ended: bool = False) -> bool:
        """Step what is open, publish the final decision and check the counters."""
        pipeline = stream.pipeline
        self._recorder.ended(stream.name)
        try:
            for block in pipeline.close():
                ((y, took_us),) = self._deployment.step([(pipeline, block)])
                decisions = pipeline.decide(block, y, took_us, arrived_us)
                stream.timings.note(block.dt_us, len(y), took_us, decisions)
                for decision in decisions:
                    self._publish(decision)
            final = pipeline.end(arrived_us)
            if final is not None:
                stream.timings.decisions += 1
                self._publish(final)
        except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
            self.failed(stream, error)
            return False
        self._remove(stream)
        counters = pipeline.counters.as_dict()
        place = stream.inbox
        self._finished.add(
            stream.name,
            stream.epoch,
            Finished(place.expected, place.sent, place.lost, counters if ended else None),
        )
        self._log.info(
            "stream_closed",
            stream=stream.name,
            counters=counters,
            removed=pipeline.removed,
            offset_us=stream.clock.offset_us,
            drift_ppm=stream.clock.drift_ppm,
        )
        return True

    def _lay_down(self, stream: FeedStream) -> None:
        """Step what was received of a stream, check its counters and leave it open."""
        self._rounds.drain(stream)
        if self._streams.get(stream.name) is not stream:
            return
        try:
            stream.pipeline.check()
        except RunError as error:
            self.failed(stream, error)
            return
        self.report.close(stream)
        counters = stream.pipeline.counters.as_dict()
        self._log.info("stream_kept", stream=stream.name, counters=counters)

    def _abandon(self, stream: FeedStream, why: str) -> None:
        self._log.warning("stream_abandoned", stream=stream.name, reason=why)
        self._rounds.drain(stream)
        if self._streams.get(stream.name) is not stream:
            return
        self._finish(stream, self._deployment.clock_us())

    def failed(self, stream: FeedStream, error: Exception) -> None:
        """See `runtime.rounds.Outcome`."""
        reason = str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
        self._recorder.failed(stream.name, reason)
        self._remove(stream)
        self.report.failed += 1
        self.report.unaccounted += isinstance(error, CounterError)
        self._log.error("stream_failed", stream=stream.name, reason=reason)
        self._tell_refusal(stream, reason)

    def _remove(self, stream: FeedStream) -> None:
        self._rounds.remove(stream)
        del self._streams[stream.name]
        self.report.close(stream)
        self._past.merge(stream.timings.copy(stream.pipeline.removed))

    def _credit(self, stream: FeedStream) -> Delivery:
        if not stream.owner:
            return "gone"
        credit = Credit(
            REPLY_VERSION, stream.name, stream.epoch, stream.stepped, self._window, stream.durable
        )
        delivery = self._send(stream.owner, credit)
        if delivery == "sent":
            stream.unanswered = 0
        return delivery

    def _reject(self, owner: bytes, reason: str) -> None:
        self.report.malformed += 1
        self._log.warning("malformed_message", reason=reason)
        self._send(owner, Rejection(REPLY_VERSION, reason))

    def _refuse(self, owner: bytes, message: Message, reason: str, *, again: bool = False) -> None:
        self.report.refused += 1
        self._log.warning("refused", stream=message.stream, reason=reason)
        self._send(owner, Refusal(REPLY_VERSION, message.stream, message.epoch, reason, again))

    def _tell_refusal(self, stream: FeedStream, reason: str, *, again: bool = False) -> None:
        if stream.owner:
            refusal = Refusal(REPLY_VERSION, stream.name, stream.epoch, reason, again)
            self._send(stream.owner, refusal)
