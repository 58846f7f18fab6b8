"""What a daemon is at one instant between two actions: copied in its loop, read anywhere."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from retempo.runtime.clock_map import ClockMap
from retempo.runtime.counters import Counters
from retempo.runtime.feed_stream import FeedReport, FeedStream
from retempo.runtime.timings import Timings

PLACES = ("binned", "late", "invalid", "masked", "shed")


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """A stream that is open.

    `queued` messages wait for their turn, the oldest for `queue_age_us`; `behind_us` is how far the
    stream is behind its sensor, see `runtime.overload.Delay`. `connected` says whether its sender
    is there. `clock` tells how the sensor's clock runs: who asks looks for its line, not the loop.
    """

    name: str
    counters: Counters
    duplicates: int
    missing: int
    queued: int
    queue_age_us: float
    behind_us: float
    timings: Timings
    connected: bool
    clock: ClockMap


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """A daemon: the streams that are open, and the sums of all that have been.

    `counters`, `timings` and the report's `duplicates` and `missing` are sums over closed and open
    streams. `busy` is the share of the time that stepping takes. `checkpoint_age_us` is how long
    ago a checkpoint was written, None if none has been since the start; `keeps_checkpoints` whether
    any is to be.
    """

    taken_us: float
    busy: float
    streams: tuple[StreamSnapshot, ...]
    report: FeedReport
    counters: Counters
    timings: Timings
    keeps_checkpoints: bool = False
    checkpoint_age_us: float | None = None


def unaccounted(counters: Counters) -> int:
    """Return by how many events the sum rule is broken, 0 where it holds."""
    return abs(counters.received - sum(place_counts(counters).values()))


def place_counts(counters: Counters) -> dict[str, int]:
    """Return where the received events went."""
    return {name: getattr(counters, name) for name in PLACES}


def take_snapshot(
    streams: Iterable[FeedStream],
    report: FeedReport,
    past: Timings,
    busy: float,
    now_us: float,
    *,
    keeps_checkpoints: bool = False,
    checkpointed_us: float | None = None,
) -> ServerSnapshot:
    """Copy what a server holds; call it where the server acts, between two actions.

    Args:
        streams: those that are open.
        report: of the server.
        past: the sums of the streams that are closed.
        busy: the share of the time that stepping takes.
        now_us: the server's clock.
        keeps_checkpoints: whether checkpoints are kept.
        checkpointed_us: when the last was written, None if none has been.
    """
    copies = tuple(_stream(stream, now_us) for stream in streams)
    whole = replace(
        report, counters=replace(report.counters), door=msgspec.structs.replace(report.door)
    )
    timings = past.copy(past.removed)
    for copy in copies:
        whole.counters.add(copy.counters)
        whole.duplicates += copy.duplicates
        whole.missing += copy.missing
        timings.merge(copy.timings)
    return ServerSnapshot(
        now_us,
        busy,
        copies,
        whole,
        whole.counters,
        timings,
        keeps_checkpoints,
        None if checkpointed_us is None else now_us - checkpointed_us,
    )


def _stream(stream: FeedStream, now_us: float) -> StreamSnapshot:
    first = stream.message if stream.blocks is not None else None
    if first is None and stream.waiting:
        first = stream.waiting[0]
    return StreamSnapshot(
        name=stream.name,
        counters=replace(stream.pipeline.counters),
        duplicates=stream.inbox.duplicates,
        missing=stream.inbox.missing,
        queued=len(stream.waiting) + (stream.blocks is not None),
        queue_age_us=0.0 if first is None else max(0.0, now_us - first.arrived_us),
        behind_us=0.0 if first is None else stream.delay.behind_us(now_us, first.chunk.t_end_us),
        timings=stream.timings.copy(stream.pipeline.removed),
        connected=stream.gone_us is None,
        clock=stream.clock.copy(),
    )
