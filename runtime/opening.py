"""Who may open a stream, who goes on with one that is open, and what comes back of a checkpoint."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from secrets import randbits

import msgspec

from retempo.runtime.deployment import Deployment
from retempo.runtime.ending import Ending
from retempo.runtime.errors import RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Inbox
from retempo.runtime.feed_stream import FeedStream
from retempo.runtime.guard import Jump
from retempo.runtime.recorder import Recorder
from retempo.runtime.replies import Replies
from retempo.runtime.rounds import Rounds
from retempo.runtime.stream_table import StreamTable
from retempo.sensors.errors import SensorError
from retempo.sensors.wire import Message
from retempo.sensors.wire_header import Buffer

MAX_STREAMS = 1_024


class Opening:
    """Opens the streams of one table."""

    def __init__(
        self,
        table: StreamTable,
        rounds: Rounds,
        replies: Replies,
        ending: Ending,
        log: EventLog,
        recorder: Recorder,
    ) -> None:
        self._table = table
        self._rounds = rounds
        self._replies = replies
        self._ending = ending
        self._log = log
        self._recorder = recorder

    def open(
        self,
        deployment: Deployment,
        owner: bytes,
        message: Message,
        header: Buffer,
        *,
        keeps_checkpoints: bool,
    ) -> None:
        """Answer who asks for a stream: with credit, with a refusal, or that it has ended.

        Args:
            deployment: opens and steps the stream.
            owner: the connection that asks.
            message: its `open`.
            header: of the message, as it came.
            keeps_checkpoints: whether its sender is to keep messages until a checkpoint holds them.
        """
        stream = self._table.open.get(message.stream)
        if stream is not None and not self._make_way(deployment, stream, owner, message):
            return
        before = self._table.finished.find(message.stream, message.epoch)
        if before is not None and before.counters is not None:
            self._replies.ended(owner, message, before.counters)
            return
        if len(self._table.open) >= MAX_STREAMS:
            most = f"{MAX_STREAMS} streams are open, and that is the most"
            self._replies.refuse(owner, message, most)
            return
        try:
            pipeline = deployment.open(message.stream, message.geometry)
        except (RunError, SensorError) as error:
            self._replies.refuse(owner, message, str(error))
            return
        except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
            reason = f"it cannot be opened: {type(error).__name__}: {error}"
            self._replies.refuse(owner, message, reason)
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
            durable=inbox.expected - 1 if keeps_checkpoints else None,
            run=run,
            place=replace(inbox),
        )
        self._name_decisions(stream)
        self._recorder.opened(stream.name, header, pipeline.epoch)
        self._rounds.begin(stream, self._table.open.values())
        self._table.add(stream)
        self._log.info(
            "stream_opened",
            stream=stream.name,
            geometry=str(message.geometry),
            sequence=inbox.expected,
        )
        self._replies.credit(stream)

    def restore(self, deployment: Deployment, streams: Iterable[FeedStream]) -> None:
        """Open streams that a checkpoint holds; they wait for their senders to come back."""
        for stream in streams:
            stream.gone_us = deployment.clock_us()
            self._name_decisions(stream)
            self._table.add(stream)
            self._recorder.restored(stream, deployment)
            self._table.report.restored += 1
            self._log.info("stream_restored", stream=stream.name, sequence=stream.stepped + 1)

    def _name_decisions(self, stream: FeedStream) -> None:
        stream.pipeline.epoch = stream.decided_as
        stream.pipeline.on_jump = partial(self._jumped, stream.name)

    def _jumped(self, stream: str, jump: Jump) -> None:
        self._log.warning("jump", stream=stream, **msgspec.to_builtins(jump))

    def _make_way(
        self, deployment: Deployment, stream: FeedStream, owner: bytes, message: Message
    ) -> bool:
        """Whether a stream may be opened although its name is taken; answers it if not."""
        if stream.epoch == message.epoch:
            self._go_on(stream, owner, message)
            return False
        if stream.owner != owner and self._replies.credit(stream) != "gone":
            taken = "another sender feeds a stream of this name"
            self._replies.refuse(owner, message, taken)
            return False
        self._ending.abandon(deployment, stream, "its sender has started anew")
        return True

    def _go_on(self, stream: FeedStream, owner: bytes, message: Message) -> None:
        """Let the same run of the same sender go on over another connection, where it stood.

        Nobody else knows its epoch, so it need not be known that the old connection is gone.
        """
        if message.geometry != stream.geometry:
            was = f"it was opened as {stream.geometry}"
            self._replies.refuse(owner, message, f"{was}, now it is {message.geometry}")
            return
        if stream.owner != owner:
            stream.owner, stream.gone_us = owner, None
            self._table.report.resumed += 1
            self._log.info("sender_back", stream=stream.name, sequence=stream.stepped + 1)
        self._replies.credit(stream)
