"""How streams end: finished by their senders, abandoned, failed, or laid down for a restart."""

from collections.abc import Callable

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CounterError, RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_stream import FeedStream
from retempo.runtime.recorder import Recorder
from retempo.runtime.replies import Replies
from retempo.runtime.rounds import Rounds
from retempo.runtime.stream_table import StreamTable


class Ending:
    """Ends the streams of one table; each failure ends its stream and no other."""

    def __init__(
        self,
        table: StreamTable,
        rounds: Rounds,
        replies: Replies,
        publish: Callable[[Decision], None],
        log: EventLog,
        recorder: Recorder,
    ) -> None:
        self._table = table
        self._rounds = rounds
        self._replies = replies
        self._publish = publish
        self._log = log
        self._recorder = recorder

    def finish(
        self, deployment: Deployment, stream: FeedStream, arrived_us: float, *, ended: bool = False
    ) -> bool:
        """Step what is open, publish the final decision and check the counters.

        Args:
            deployment: steps the stream.
            stream: whose messages have all been stepped.
            arrived_us: when the message arrived that its last decisions answer.
            ended: whether its sender has ended it.

        Returns:
            Whether it was finished; if not it has failed, and its sender has been told.
        """
        pipeline = stream.pipeline
        self._recorder.ended(stream.name)
        try:
            for block in pipeline.close():
                ((y, took_us),) = deployment.step([(pipeline, block)])
                decisions = pipeline.decide(block, y, took_us, arrived_us)
                stream.timings.note(block.dt_us, len(y), took_us, decisions)
                for decision in decisions:
                    self._publish(decision)
            final = pipeline.end(arrived_us)
            if final is not None:
                stream.timings.decisions += 1
                self._publish(final)
        except Exception as error:  # noqa: BLE001  (one bad stream must not end the others)
            self.fail(stream, error)
            return False
        self._remove(stream)
        counters = pipeline.counters.as_dict()
        self._table.finish(stream, counters if ended else None)
        self._log.info(
            "stream_closed",
            stream=stream.name,
            counters=counters,
            removed=pipeline.removed,
            offset_us=stream.clock.offset_us,
            drift_ppm=stream.clock.drift_ppm,
        )
        return True

    def lay_down(self, stream: FeedStream) -> None:
        """Step what was received of a stream, check its counters and leave it open."""
        self._rounds.drain(stream)
        if not self._table.holds(stream):
            return
        try:
            stream.pipeline.check()
        except RunError as error:
            self.fail(stream, error)
            return
        self._table.report.close(stream)
        counters = stream.pipeline.counters.as_dict()
        self._log.info("stream_kept", stream=stream.name, counters=counters)

    def abandon(self, deployment: Deployment, stream: FeedStream, why: str) -> None:
        """Finish a stream whose sender will not end it."""
        self._log.warning("stream_abandoned", stream=stream.name, reason=why)
        self._rounds.drain(stream)
        if self._table.holds(stream):
            self.finish(deployment, stream, deployment.clock_us())

    def fail(self, stream: FeedStream, error: Exception) -> None:
        """End a stream that can go no further, and tell its sender why."""
        reason = str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
        self._recorder.failed(stream.name, reason)
        self._remove(stream)
        self._table.report.failed += 1
        self._table.report.unaccounted += isinstance(error, CounterError)
        self._log.error("stream_failed", stream=stream.name, reason=reason)
        self._replies.dismiss(stream, reason)

    def _remove(self, stream: FeedStream) -> None:
        self._rounds.remove(stream)
        self._replies.forget(stream)
        self._table.remove(stream)
