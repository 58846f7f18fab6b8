"""The daemon's checkpoints: taken in its loop between messages, written by a thread.

The streams are independent of each other, so each is copied where it stands when its turn comes; no
pass of the loop copies for longer than `BUDGET_S`, one stream at the least.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retempo.runtime.checkpoint import Checkpoint, FinishedEntry, Identity, SavedStream
from retempo.runtime.checkpoint_folder import CheckpointFolder
from retempo.runtime.checkpoint_identity import check_identity, identity_of
from retempo.runtime.checkpoint_writer import ThreadWriter, Writer
from retempo.runtime.errors import CheckpointError, RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.feed_stream import FeedStream
from retempo.runtime.finished import Finished
from retempo.runtime.opening import MAX_STREAMS
from retempo.runtime.stream_saved import load_stream, save_stream

BUDGET_S = 0.002
# Passes of the loop that a stream in the midst of a message is waited for; what is older of it is
# written then, so that one long silence does not keep all others from their checkpoint.
_PATIENCE = 64


@dataclass(slots=True)
class _Record:
    """The last copy of a stream, and by what is seen that the stream has moved on since."""

    saved: SavedStream
    mark: tuple[Any, ...]


@dataclass(slots=True)
class _Round:
    """A checkpoint under way: the streams still to be copied."""

    names: list[str]
    passes: int = 0
    copied: int = 0


@dataclass(slots=True)
class Checkpointing:
    """A chore of the daemon, see `runtime.daemon.Chore`; made by `keep_checkpoints`."""

    server: FeedServer
    folder: CheckpointFolder
    writer: Writer
    log: EventLog
    clock_s: Callable[[], float] = time.perf_counter
    _records: dict[str, _Record] = field(default_factory=dict)
    _round: _Round | None = None
    _written: tuple[frozenset[str], tuple[FinishedEntry, ...]] = (frozenset(), ())
    _failed: bool = False
    _identity: tuple[object, Identity] | None = None

    @property
    def sources(self) -> Sequence[Any]:
        """What wakes the loop: an interval has passed, or a checkpoint is written."""
        return self.writer.sources

    def tick(self) -> None:
        """Take the next streams of a checkpoint that is due, and note what has been written."""
        due = self.writer.due()
        self._note()
        if self._round is None:
            if not due:
                return
            self._round = _Round(list(self.server.streams))
        if self._copy(self._round, self.clock_s() + BUDGET_S):
            self._hand_over(self._round)
            self._round = None
        else:
            self.writer.wake()

    def close(self) -> None:
        """Write a last checkpoint: every stream as far as it was received."""
        self._note()
        last = _Round(list(self.server.streams), passes=_PATIENCE)
        while not self._copy(last, float("inf")):
            pass
        self._hand_over(last)
        self.writer.close()
        self._note()
        self.folder.close()

    def restore(self) -> None:
        """Open the streams of the newest checkpoint that is valid and of this deployment."""
        deployment, wanted = self.server.deployment, self._belongs_to()
        refused: list[dict[str, str]] = []

        def take(checkpoint: Checkpoint) -> tuple[Checkpoint, list[FeedStream]]:
            check_identity(checkpoint, wanted)
            if len(checkpoint.streams) > MAX_STREAMS:
                raise CheckpointError(
                    f"it holds {len(checkpoint.streams)} streams, {MAX_STREAMS} are the most"
                )
            return checkpoint, [load_stream(saved, deployment) for saved in checkpoint.streams]

        def refuse(path: Path, error: CheckpointError) -> None:
            refused.append({"file": path.name, "reason": str(error)})

        found = self.folder.newest(take, refuse)
        if refused:
            self.log.warning("checkpoint_refused", folder=str(self.folder.path), files=refused)
        if found is None:
            return
        checkpoint, streams = found
        self.server.restore(streams)
        for each in checkpoint.finished:
            done = Finished(each.expected, each.sent, each.lost, each.counters)
            self.server.finished.add(each.name, each.epoch, done)
        self.server.history.load(_decided_before(checkpoint))
        for saved, stream in zip(checkpoint.streams, streams, strict=True):
            self._records[stream.name] = _Record(saved, self._mark(stream))

    def _copy(self, under_way: _Round, until_s: float) -> bool:
        """Copy streams for so long; returns whether none is left."""
        left: list[str] = []
        under_way.passes += 1
        for place, name in enumerate(under_way.names):
            if place and self.clock_s() >= until_s:
                left += under_way.names[place:]
                break
            stream = self.server.streams.get(name)
            if stream is None:
                continue
            if _rests(stream):
                under_way.copied += self._copy_one(stream)
            elif under_way.passes <= _PATIENCE:
                left.append(name)
        under_way.names = left
        return not left

    def _copy_one(self, stream: FeedStream) -> bool:
        """Copy a stream if it has moved on; returns whether it has."""
        record = self._records.get(stream.name)
        mark = self._mark(stream)
        if record is not None and record.mark == mark:
            return False
        try:
            self._records[stream.name] = _Record(save_stream(stream), mark)
        except RunError as error:
            # What is not finite must not be gone on by: not here, and not after a restart.
            self._records.pop(stream.name, None)
            self.server.failed(stream, error)
        return True

    def _hand_over(self, done: _Round) -> None:
        streams = self.server.streams
        kept = {
            name: record
            for name, record in self._records.items()
            if name in streams
            and streams[name].epoch == record.saved.entry.epoch
            and record.mark[0] == id(self.server.deployment)
        }
        self._records = kept
        finished = tuple(
            FinishedEntry(name, epoch, f.expected, f.sent, f.lost, f.counters)
            for (name, epoch), f in self.server.finished.items()
        )
        written = (frozenset(kept), finished)
        if not done.copied and written == self._written and not self._failed:
            self.writer.submit(None)
            return
        self._written, self._failed = written, False
        checkpoint = Checkpoint(
            self._belongs_to(),
            tuple(record.saved for record in kept.values()),
            finished,
            self.server.history.save(),
        )
        self.writer.submit(checkpoint)

    def _note(self) -> None:
        """Tell senders what is durable now, or the log why it is not."""
        outcome = self.writer.outcome()
        if outcome is None:
            return
        if outcome.reason is not None:
            self.server.report.checkpoint_failures += 1
            self._failed = True
            self.server.tell_ended()
            self.log.error("checkpoint_failed", folder=str(self.folder.path), reason=outcome.reason)
            return
        self.server.report.checkpoints += 1
        self.server.checkpointed_us = self.server.deployment.clock_us()
        self.server.tell_ended({(each.name, each.epoch) for each in outcome.checkpoint.finished})
        for saved in outcome.checkpoint.streams:
            entry = saved.entry
            stream = self.server.streams.get(entry.name)
            if stream is None or stream.epoch != entry.epoch or stream.durable == entry.stepped:
                continue
            stream.durable = entry.stepped
            self.server.owe(stream)

    def _mark(self, stream: FeedStream) -> tuple[Any, ...]:
        """Return what is another as soon as the stream has moved on; first, what decides it."""
        counters = stream.pipeline.counters
        return (
            id(self.server.deployment),
            id(stream.pipeline),
            stream.epoch,
            stream.stepped,
            counters.steps,
            counters.received,
            stream.rung.index,
        )

    def _belongs_to(self) -> Identity:
        deployment = self.server.deployment
        if self._identity is None or self._identity[0] is not deployment:
            self._identity = (deployment, identity_of(deployment))
        return self._identity[1]


def keep_checkpoints(
    folder: Path, every_s: float, log: EventLog | None = None
) -> Callable[[FeedServer], Checkpointing]:
    """Return what makes the chore: it restores what the folder holds, then keeps it up to date.

    Args:
        folder: made if need be; of this daemon alone.
        every_s: how long after one checkpoint the next is taken.
        log: standard error if None.

    Raises:
        ConfigError: when the chore is made, if another daemon has the folder.
    """

    def make(server: FeedServer) -> Checkpointing:
        held = CheckpointFolder(folder)
        server.keeps_checkpoints = True
        writer = ThreadWriter(held, every_s)
        chore = Checkpointing(server, held, writer, log or EventLog())
        chore.restore()
        return chore

    return make


def _rests(stream: FeedStream) -> bool:
    """Whether a stream stands between two messages, and between no two models."""
    return stream.blocks is None and not stream.pipeline.handing_over


def _decided_before(checkpoint: Checkpoint) -> list[tuple[str, int, int, bytes]]:
    """Return the late decisions without those that the restored streams will make again."""
    again = {}
    for saved in checkpoint.streams:
        entry, sequence = saved.entry, saved.state["place.sequence"]
        again[entry.name, entry.epoch if entry.run is None else entry.run] = sequence
    return [
        (stream, epoch, sequence, body)
        for stream, epoch, sequence, body in checkpoint.history
        if (stream, epoch) not in again or sequence < int(str(again[stream, epoch]))
    ]
