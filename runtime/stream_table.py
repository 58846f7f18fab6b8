"""The streams of a daemon: those that are open, and what is kept of those that were."""

from dataclasses import dataclass, field

from retempo.runtime.feed_stream import FeedReport, FeedStream
from retempo.runtime.finished import Finished, FinishedStreams
from retempo.runtime.timings import Timings


@dataclass(frozen=True, slots=True)
class StreamTable:
    """`open` by name, `finished` lately; `report` and `past` sum up what has been closed."""

    report: FeedReport = field(default_factory=FeedReport)
    open: dict[str, FeedStream] = field(default_factory=dict)
    finished: FinishedStreams = field(default_factory=FinishedStreams)
    past: Timings = field(default_factory=Timings)

    def add(self, stream: FeedStream) -> None:
        """Open a stream."""
        self.open[stream.name] = stream
        self.report.streams += 1

    def holds(self, stream: FeedStream) -> bool:
        """Return whether a stream is still the one that is open under its name."""
        return self.open.get(stream.name) is stream

    def remove(self, stream: FeedStream) -> None:
        """Close a stream and sum it up."""
        del self.open[stream.name]
        self.report.close(stream)
        self.past.merge(stream.timings.copy(stream.pipeline.removed))

    def finish(self, stream: FeedStream, counters: dict[str, int] | None) -> None:
        """Remember where a stream has been finished; `counters` if its sender has ended it."""
        place = stream.inbox
        finished = Finished(place.expected, place.sent, place.lost, counters)
        self.finished.add(stream.name, stream.epoch, finished)
