"""Replays a journal: the same actions on the same pipelines, so the same decisions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import numpy as np

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CheckpointError, RunError
from retempo.runtime.journal_format import (
    Begin,
    Changed,
    Ended,
    Failed,
    Opened,
    Part,
    Record,
    Resumed,
    Shed,
    Taken,
)
from retempo.runtime.journal_reader import Broken
from retempo.runtime.journal_resumed import stream_at
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.sparse_bins import Block
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.wire import decode

Outcome = Literal["ended", "failed", "unfinished"]


class ReplayedStream(msgspec.Struct, kw_only=True):
    """What a replay made of one stream; `why` says how it failed, or where its records end."""

    stream: str
    epoch: int
    outcome: Outcome = "unfinished"
    why: str = ""
    label: str | None = None
    scores: list[float] = msgspec.field(default_factory=list)
    decisions: int = 0
    counters: dict[str, int] = msgspec.field(default_factory=dict)


@dataclass(slots=True)
class JournalReplay:
    """What a replay made of a journal.

    `skipped` names the streams whose beginning it does not hold. `notes` say where records are
    missing, or of no use.
    """

    streams: list[ReplayedStream] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Stand:
    """What a stream stands at, as far as it has been read."""

    resumed: Resumed
    state: bytearray


@dataclass(slots=True)
class _Run:
    pipeline: Pipeline
    result: ReplayedStream


def replay_journal(
    records: Iterable[Record | Broken],
    deployment_of: Callable[[Begin], Deployment | None],
    tell: Callable[[Decision], None],
) -> JournalReplay:
    """Do again what a daemon has done.

    Decisions and counters are those of the live run, bit for bit, but for the latencies; the engine
    is to be the same, and to step a stream at a time.

    Args:
        records: see `runtime.journal_reader.read_journal`.
        deployment_of: loads what a session served; None leaves the session out.
        tell: told every decision, in the order of the journal.
    """
    return _Replay(deployment_of, tell).run(records)


class _Replay:
    def __init__(
        self,
        deployment_of: Callable[[Begin], Deployment | None],
        tell: Callable[[Decision], None],
    ) -> None:
        self._done = JournalReplay()
        self._deployment_of = deployment_of
        self._tell = tell
        self._deployment: Deployment | None = None
        self._session: int | None = None
        self._runs: dict[int, _Run] = {}
        self._over: set[int] = set()
        self._stands: dict[int, _Stand] = {}

    def run(self, records: Iterable[Record | Broken]) -> JournalReplay:
        for record in records:
            match record:
                case Begin():
                    self._begin(record)
                case Broken():
                    self._done.notes.append(record.why)
                    self._leave(record.why)
                case Opened():
                    self._open(record)
                case Resumed():
                    self._stands[record.run] = _Stand(record, bytearray())
                case Part():
                    self._resume(record)
                case _:
                    self._act(record)
        self._leave("the journal ends")
        return self._done

    def _begin(self, begin: Begin) -> None:
        if begin.session != self._session:
            self._leave("another daemon begins")
            self._session, self._over = begin.session, set()
            self._deployment = self._deployment_of(begin)

    def _leave(self, why: str) -> None:
        self._stands.clear()
        for number in list(self._runs):
            self._close(number, "unfinished", why)

    def _open(self, opened: Opened) -> None:
        if self._deployment is None:
            return
        message = decode([opened.header, b""])
        result = ReplayedStream(stream=message.stream, epoch=message.epoch)
        self._done.streams.append(result)
        pipeline = self._deployment.open(message.stream, message.geometry)
        pipeline.epoch = opened.epoch
        self._runs[opened.run] = _Run(pipeline, result)

    def _resume(self, part: Part) -> None:
        """Go on with a stream once all of what it stands at has been read."""
        stand = self._stands.get(part.run)
        if self._deployment is None or stand is None:
            return
        stand.state += part.state
        if len(stand.state) < stand.resumed.size:
            return
        del self._stands[part.run]
        try:
            stream = stream_at(bytes(stand.state), self._deployment)
        except CheckpointError as error:
            self._over.add(part.run)
            self._done.notes.append(f"a stream is left out: {error}")
            return
        result = ReplayedStream(stream=stream.name, epoch=stream.epoch)
        self._done.streams.append(result)
        stream.pipeline.epoch = stand.resumed.epoch
        self._runs[part.run] = _Run(stream.pipeline, result)

    def _act(self, record: Taken | Shed | Changed | Ended | Failed) -> None:
        if self._deployment is None or record.run in self._over:
            return
        run = self._runs.get(record.run)
        if run is None:
            self._skip(record)
            return
        try:
            self._apply(record, run)
        except (RunError, SensorError) as error:
            self._close(record.run, "failed", str(error))

    def _apply(self, record: Taken | Shed | Changed | Ended | Failed, run: _Run) -> None:
        pipeline = run.pipeline
        match record:
            case Taken():
                chunk = decode([record.header, record.payload]).chunk
                self._step(
                    run, pipeline.take(replace(chunk, lost=record.lost) if record.lost else chunk)
                )
            case Shed():
                chunks = [_left_out(*message[1:]) for message in record.messages]
                self._step(run, pipeline.shed(chunks, reset=record.reset))
            case Changed():
                pipeline.change_step(record.dt_us)
            case Ended():
                self._step(run, pipeline.close())
                final = pipeline.end(0.0)
                if final is not None:
                    self._decided(run, final)
                self._close(record.run, "ended", "")
            case Failed():
                self._close(record.run, "failed", record.reason)

    def _step(self, run: _Run, blocks: Iterator[Block]) -> None:
        for block in blocks:
            y, took_us = run.pipeline.step(block)
            for decision in run.pipeline.decide(block, y, took_us, 0.0):
                self._decided(run, decision)

    def _decided(self, run: _Run, decision: Decision) -> None:
        run.result.decisions += 1
        run.result.label, run.result.scores = decision.label, decision.scores
        self._tell(decision)

    def _close(self, number: int, outcome: Outcome, why: str) -> None:
        run = self._runs.pop(number)
        self._over.add(number)
        run.result.outcome, run.result.why = outcome, why
        run.result.counters = run.pipeline.counters.as_dict()

    def _skip(self, record: Taken | Shed | Changed | Ended | Failed) -> None:
        """Name a stream that was open before, by its first message."""
        if isinstance(record, Taken):
            self._over.add(record.run)
            self._done.skipped.append(decode([record.header, record.payload]).stream)


def _left_out(events: int, lost: int, t_end_us: int) -> EventChunk:
    """Return a chunk of so many events, of which nothing else matters any more."""
    t_us = np.full(events, t_end_us, np.int64)
    return EventChunk(t_us, t_end_us, channel=np.zeros(events, np.uint16), lost=lost)
