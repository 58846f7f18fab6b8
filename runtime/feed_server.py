"""The daemon's side of the feed: what becomes of each message, and of all streams together.

It owns no socket: messages are handed in, replies and decisions go out through two functions. One
stream's failure closes that stream and no other.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from retempo.runtime.decision import Decision
from retempo.runtime.decision_history import DecisionHistory
from retempo.runtime.deployment import Deployment
from retempo.runtime.ending import Ending
from retempo.runtime.errors import InputError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import GRACE_US, KEEPALIVE_S, WINDOW, Reply
from retempo.runtime.feed_stream import FeedStream, Waiting
from retempo.runtime.finished import FinishedStreams
from retempo.runtime.gauges import Gauges
from retempo.runtime.opening import Opening
from retempo.runtime.overload import Rung
from retempo.runtime.recorder import Nobody, Recorder
from retempo.runtime.replies import Delivery, Replies
from retempo.runtime.rounds import Rounds
from retempo.runtime.snapshot import ServerSnapshot, take_snapshot
from retempo.runtime.stream_table import StreamTable
from retempo.sensors.errors import WireError
from retempo.sensors.events import EventChunk
from retempo.sensors.wire import Message, decode
from retempo.sensors.wire_header import Buffer, glance


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
        self._table = StreamTable()
        self.report = self._table.report
        self.history = DecisionHistory() if history is None else history
        self.keeps_checkpoints = False
        self.gauges = Gauges()
        self.checkpointed_us: float | None = None
        self._deployment = deployment
        self._log = log
        self._window, self._quarter = window, max(1, window // 4)
        self._grace_us = grace_us
        self._streams = self._table.open
        self._recorder = recorder or Nobody()
        self._replies = Replies(send, log, self.report, window)
        self._rounds = Rounds(deployment, publish, self, log, self._recorder)
        self._ending = Ending(
            self._table, self._rounds, self._replies, publish, log, self._recorder
        )
        self._opening = Opening(
            self._table, self._rounds, self._replies, self._ending, log, self._recorder
        )
        self._told_us = deployment.clock_us()

    def receive(self, owner: bytes, frames: Sequence[Buffer]) -> None:
        """Act on one message of the connection `owner`; events wait for their stream's turn."""
        arrived_us = self._deployment.clock_us()
        self.report.messages += 1
        if len(frames) == 2 and self._at_once(owner, frames[0], frames[1], arrived_us):
            return
        try:
            message = decode(frames)
        except WireError as error:
            self._replies.reject(owner, str(error))
            return
        if message.kind == "open":
            self._open(owner, message, frames[0])
            return
        stream = self._streams.get(message.stream)
        if stream is None or stream.owner != owner or stream.epoch != message.epoch:
            taken = "is fed by another sender" if stream else "is not open; send open first"
            # Its own run over another connection: who is still there has to say so by `open`.
            again = stream is None or stream.epoch == message.epoch
            self._replies.refuse(owner, message, f"the stream {taken}", again=again)
        elif message.geometry is not stream.geometry and message.geometry != stream.geometry:
            was = f"{stream.name!r} was opened as {stream.geometry}"
            self._replies.reject(owner, f"{was}, a message says {message.geometry}")
        elif message.kind == "events" and stream.inbox.is_duplicate(message):
            self.owe(stream)
            self._log.warning("duplicate", stream=stream.name, sequence=message.sequence)
        else:
            if len(stream.waiting) >= self._window:
                # Who ignores the window waits in the socket, as the loop then does not read on.
                self._rounds.make_room(stream, self._window)
                if not self._table.holds(stream):
                    return  # it failed over what waited, and its sender has been told
            if stream.wire_geometry is None:
                stream.recognise(frames[0])
            if self.keeps_checkpoints and stream.place is None:
                stream.place = replace(stream.inbox)
            chunk = self._take(stream, message)
            ends = message.kind == "end"
            if not ends:
                stream.clock.observe(chunk.t_end_us, arrived_us)
            kept = tuple(frames) if self._recorder.keeps_frames else ()
            place = replace(stream.inbox) if self.keeps_checkpoints else None
            waiting = Waiting(chunk, message.sequence, arrived_us, ends, kept, place)
            self._rounds.add(stream, waiting)

    def _at_once(self, owner: bytes, header: Buffer, payload: Buffer, arrived_us: float) -> bool:
        """Step a message at once if it is what its stream was to say next; see `Rounds.at_once`."""
        if type(payload) is not bytes:
            return False
        seen = glance(header)
        stream = None if seen is None else self._streams.get(seen.stream)
        if (
            seen is None
            or stream is None
            or seen.kind != "events"
            or stream.owner != owner
            or stream.epoch != seen.epoch
            or stream.wire_geometry != seen.geometry
            or len(payload) != seen.count * stream.event_bytes
            or not stream.inbox.follows(seen)
            or not self._rounds.at_once(stream, payload, seen, arrived_us)
        ):
            return False
        if self._table.holds(stream):  # it has not failed
            stream.inbox.follow(seen.count)
            stream.clock.observe(seen.t_end_us, arrived_us)
            stream.place = None
            self._answer(stream, seen.sequence)
        return True

    def snapshot(self) -> ServerSnapshot:
        """Return a copy of what is counted; call it between two actions."""
        return take_snapshot(
            self._streams.values(),
            self.report,
            self._table.past,
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
        """Answer every stream that has been stepped since its last credit, once in `CREDIT_US`."""
        self._replies.acknowledge(self._deployment.clock_us)

    def owes_in_us(self) -> float:
        """Return how long `acknowledge` may wait, infinite where nobody is owed anything."""
        return self._replies.owes_in_us(self._deployment.clock_us)

    def sweep(self) -> None:
        """Once in `KEEPALIVE_S`: tell every sender that we live, and finish whose is gone."""
        now_us = self._deployment.clock_us()
        if now_us - self._told_us < KEEPALIVE_S * 1e6:
            return
        self._told_us = now_us
        replies = [(stream, self._replies.credit(stream)) for stream in self._streams.values()]
        for stream in (stream for stream, delivery in replies if delivery == "gone"):
            if stream.gone_us is None:
                stream.owner, stream.gone_us = b"", self._told_us
                self._log.info("sender_gone", stream=stream.name, grace_us=self._grace_us)
            if self._told_us - stream.gone_us >= self._grace_us:
                self._ending.abandon(self._deployment, stream, "its sender is gone")

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
        self._replies.tell_ended(durable)

    @property
    def finished(self) -> FinishedStreams:
        """The streams that were finished lately."""
        return self._table.finished

    def restore(self, streams: Iterable[FeedStream]) -> None:
        """Open streams that a checkpoint holds; they wait for their senders to come back."""
        self._opening.restore(self._deployment, streams)

    def close(self) -> None:
        """Finish every open stream: its final decision goes out, its sender is told.

        Where checkpoints are kept, streams are stepped as far as they have been received and stay
        open: the last checkpoint takes them, and their senders wait for the next daemon.
        """
        for stream in list(self._streams.values()):
            if self.keeps_checkpoints:
                self._ending.lay_down(stream)
                continue
            now_us = self._deployment.clock_us()
            if self._ending.finish(self._deployment, stream, now_us):
                self._replies.dismiss(stream, "the daemon is shutting down", again=True)

    def _open(self, owner: bytes, message: Message, header: Buffer) -> None:
        keeps = self.keeps_checkpoints
        self._opening.open(self._deployment, owner, message, header, keeps_checkpoints=keeps)

    def stepped(self, stream: FeedStream, message: Waiting) -> None:
        """See `runtime.rounds.Outcome`."""
        if message.ends:
            arrived_us = message.arrived_us
            if self._ending.finish(self._deployment, stream, arrived_us, ended=True):
                self._replies.end(stream)
                if not self.keeps_checkpoints:
                    self.tell_ended()
            return
        stream.place = message.place
        self._answer(stream, message.sequence)

    def _answer(self, stream: FeedStream, sequence: int) -> None:
        """Owe a sender the credit for its message."""
        stream.stepped = sequence
        self._replies.owe(stream)
        if stream.unanswered >= self._quarter:
            self._replies.credit(stream)

    def failed(self, stream: FeedStream, error: Exception) -> None:
        """See `runtime.rounds.Outcome`."""
        self._ending.fail(stream, error)

    def owe(self, stream: FeedStream) -> None:
        """Let `acknowledge` tell a sender how far its stream is."""
        self._replies.owe(stream)

    def _take(self, stream: FeedStream, message: Message) -> EventChunk:
        """Move behind a message; returns its chunk, which says what was lost before it."""
        missing = stream.inbox.missing
        lost = stream.inbox.take(message)
        if stream.inbox.missing > missing:
            self._log.warning(
                "gap", stream=stream.name, messages=stream.inbox.missing - missing, events=lost
            )
        return replace(message.chunk, lost=lost) if lost else message.chunk
