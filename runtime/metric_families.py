"""Every metric of the daemon, a line each: the table of which `/metrics` and the docs are made."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from retempo.runtime.clock_map import ClockMap
from retempo.runtime.facts import Facts
from retempo.runtime.histogram import Histogram
from retempo.runtime.snapshot import ServerSnapshot, StreamSnapshot, place_counts, unaccounted

Kind = Literal["gauge", "counter", "histogram", "info"]
Value = float | Histogram | Mapping[str, str]
Sample = tuple[tuple[str, ...], Value]

# Beyond so many open streams the histograms are those of all streams together: a scrape of a
# thousand streams would otherwise be tens of thousands of lines. Nor are clocks shown then: to find
# the line of one takes a tenth of a millisecond, in which the loop may wait for the interpreter.
MOST_HISTOGRAMS = 128


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one look at the daemon is made of; times in seconds."""

    server: ServerSnapshot
    facts: Facts
    uptime_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it means, and how its values come from a scrape."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...]
    read: Callable[[Scrape], Iterable[Sample]]


def _one(name: str, kind: Kind, about: str, read: Callable[[Scrape], Value]) -> Family:
    return Family(name, kind, about, (), lambda scrape: [((), read(scrape))])


def _each(name: str, kind: Kind, about: str, read: Callable[[StreamSnapshot], Value]) -> Family:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        return (((s.name,), read(s)) for s in scrape.server.streams)

    return Family(name, kind, about, ("stream",), samples)


def _split(
    name: str, about: str, label: str, read: Callable[[StreamSnapshot], Mapping[str, int]]
) -> Family:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        for stream in scrape.server.streams:
            for key, value in read(stream).items():
                yield (stream.name, key), value

    return Family(name, "counter", about, ("stream", label), samples)


def _timed(name: str, about: str, read: Callable[[StreamSnapshot], Histogram]) -> Family:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        streams = scrape.server.streams
        if len(streams) <= MOST_HISTOGRAMS:
            yield from (((s.name,), read(s)) for s in streams)

    return Family(name, "histogram", about, ("stream",), samples)


def _masked(stream: StreamSnapshot) -> dict[str, int]:
    by = stream.timings.removed
    return {"mask": max(0, stream.counters.masked - sum(by.values())), **by}


def _shed(stream: StreamSnapshot) -> dict[str, int]:
    by = stream.timings.shed
    rest = stream.counters.shed - sum(by.values())
    return {**by, "other": rest} if rest > 0 else dict(by)


def _model(scrape: Scrape) -> Mapping[str, str]:
    facts = scrape.facts
    return {
        "model": facts.model,
        "sha256": facts.sha256,
        "engine": facts.engine,
        "provider": facts.provider,
        "method": facts.method,
        "policy": facts.policy,
        "dt_us": str(facts.dt_us),
    }


def _refused(scrape: Scrape) -> list[Sample]:
    door = scrape.server.report.door
    by: dict[str, int] = {
        "key": door.auth_failures,
        "full": door.turned_away,
        "handshake": door.handshake_failures,
        "files": door.accept_failures,
    }
    return [((reason,), count) for reason, count in by.items()]


def _checkpoint_age(scrape: Scrape) -> list[Sample]:
    server = scrape.server
    if not server.keeps_checkpoints:
        return []
    age_us = server.checkpoint_age_us
    return [((), scrape.uptime_s if age_us is None else age_us / 1e6 + scrape.age_s)]


def _clocks(read: Callable[[ClockMap], float | None]) -> Callable[[Scrape], Iterator[Sample]]:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        streams = scrape.server.streams
        for stream in streams if len(streams) <= MOST_HISTOGRAMS else ():
            value = read(stream.clock)
            if value is not None:
                yield (stream.name,), value / 1e6

    return samples


def _broken(scrape: Scrape) -> int:
    open_streams = sum(unaccounted(s.counters) for s in scrape.server.streams)
    return max(open_streams, unaccounted(scrape.server.counters))


DAEMON = (
    _one("retempo_build", "info", "The version that runs.",
         lambda s: {"version": s.facts.version, "python": s.facts.python}),
    _one("retempo_model", "info", "The model in force and what steps it.", _model),
    Family("retempo_label", "info", "The network's labels by their place.", ("index",),
           lambda s: [((str(k),), {"label": name}) for k, name in enumerate(s.facts.labels)]),
    _one("retempo_uptime_seconds", "gauge", "Since the daemon started.", lambda s: s.uptime_s),
    _one("retempo_snapshot_age_seconds", "gauge",
         "How old these numbers are; it grows while the loop is stuck or drains.",
         lambda s: s.age_s),
    _one("retempo_busy_ratio", "gauge", "The share of the time that stepping takes, of late.",
         lambda s: s.server.busy),
    _one("retempo_streams", "gauge", "Streams that are open.", lambda s: len(s.server.streams)),
    _one("retempo_streams_opened_total", "counter", "Streams that have been opened.",
         lambda s: s.server.report.streams),
    _one("retempo_streams_failed_total", "counter", "Streams that ended by an error.",
         lambda s: s.server.report.failed),
    _one("retempo_streams_resumed_total", "counter",
         "Streams that their senders came back to over another connection.",
         lambda s: s.server.report.resumed),
    _one("retempo_streams_restored_total", "counter", "Streams that came from a checkpoint.",
         lambda s: s.server.report.restored),
    _one("retempo_swaps_total", "counter", "Models that took the place of another.",
         lambda s: s.server.report.swaps),
    _one("retempo_swap_refusals_total", "counter",
         "Models that were asked for and refused; the one before goes on.",
         lambda s: s.server.report.swap_refusals),
    _one("retempo_checkpoints_total", "counter", "Checkpoints that were written.",
         lambda s: s.server.report.checkpoints),
    _one("retempo_checkpoint_failures_total", "counter", "Checkpoints that could not be written.",
         lambda s: s.server.report.checkpoint_failures),
    Family("retempo_checkpoint_age_seconds", "gauge",
           "Since a checkpoint was written, or since the start; where nothing changes none is.",
           (), _checkpoint_age),
    _one("retempo_connections", "gauge", "Peers that are connected to either socket.",
         lambda s: s.server.report.door.connections),
    _one("retempo_connected_total", "counter", "Peers that have come in.",
         lambda s: s.server.report.door.connected),
    Family("retempo_refused_connections_total", "counter",
           "Peers that did not come in, by reason: key, full, handshake, files.", ("reason",),
           _refused),
    _one("retempo_revoked_messages_total", "counter",
         "Messages of clients whose key has been taken off the list.",
         lambda s: s.server.report.door.revoked),
    _one("retempo_messages_total", "counter", "Messages that came in, of any kind.",
         lambda s: s.server.report.messages),
    _one("retempo_malformed_messages_total", "counter", "Messages that could not be read.",
         lambda s: s.server.report.malformed),
    _one("retempo_refused_messages_total", "counter",
         "Messages of streams that are not open, or of another sender's.",
         lambda s: s.server.report.refused),
    _one("retempo_duplicate_messages_total", "counter", "Messages that came again; none is binned.",
         lambda s: s.server.report.duplicates),
    _one("retempo_missing_messages_total", "counter", "Messages that a sequence says are missing.",
         lambda s: s.server.report.missing),
    _one("retempo_received_events_total", "counter", "Events that came in, of all streams.",
         lambda s: s.server.counters.received),
    Family("retempo_events_total", "counter",
           "Where the received events went, of all streams: binned, late, invalid, masked, shed.",
           ("fate",),
           lambda s: [((name,), n) for name, n in place_counts(s.server.counters).items()]),
    _one("retempo_lost_events_total", "counter", "Events that never came in, of all streams.",
         lambda s: s.server.counters.lost),
    _one("retempo_unaccounted_events", "gauge",
         "Events by which the sum rule is broken: 0, or a fault of Retempo's own.", _broken),
    _one("retempo_steps_total", "counter", "Bins that were stepped, of all streams.",
         lambda s: s.server.counters.steps),
    _one("retempo_decisions_total", "counter", "Decisions that were published, of all streams.",
         lambda s: s.server.timings.decisions),
    _one("retempo_step_seconds", "histogram",
         "How long a bin's step took, with its binning where that is one call, of all streams.",
         lambda s: s.server.timings.step),
    _one("retempo_decision_latency_seconds", "histogram",
         "From the arrival of what closed a bin to its decision, of all streams.",
         lambda s: s.server.timings.decision),
)  # fmt: skip

STREAM = (
    _each("retempo_stream_received_events_total", "counter", "Events that came in.",
          lambda s: s.counters.received),
    _split("retempo_stream_events_total",
           "Where the received events went: binned, late, invalid, masked, shed.", "fate",
           lambda s: place_counts(s.counters)),
    _split("retempo_stream_masked_events_total", "Masked events by the filter, or by the mask.",
           "by", _masked),
    _split("retempo_stream_shed_events_total", "Shed events by the policy that dropped them.",
           "reason", _shed),
    _each("retempo_stream_lost_events_total", "counter", "Events that never came in.",
          lambda s: s.counters.lost),
    _each("retempo_stream_gaps_total", "counter", "Silences and shed stretches that were left out.",
          lambda s: s.counters.gaps),
    _each("retempo_stream_duplicate_messages_total", "counter", "Messages that came again.",
          lambda s: s.duplicates),
    _each("retempo_stream_missing_messages_total", "counter", "Messages that are missing.",
          lambda s: s.missing),
    _each("retempo_stream_steps_total", "counter", "Bins that were stepped.",
          lambda s: s.counters.steps),
    _each("retempo_stream_switches_total", "counter", "Changes of the time step.",
          lambda s: s.counters.switches),
    _each("retempo_stream_jumps_total", "counter", "Times that the sensor's clock was set.",
          lambda s: s.counters.jumps),
    _each("retempo_stream_decisions_total", "counter", "Decisions that were published.",
          lambda s: s.timings.decisions),
    _each("retempo_stream_queue_messages", "gauge", "Messages that wait for the stream's turn.",
          lambda s: s.queued),
    _each("retempo_stream_queue_age_seconds", "gauge", "How long the oldest of them has waited.",
          lambda s: s.queue_age_us / 1e6),
    _each("retempo_stream_behind_seconds", "gauge", "How far decisions are behind the sensor.",
          lambda s: s.behind_us / 1e6),
    _each("retempo_stream_dt_seconds", "gauge", "The time step in force; 0 before the first step.",
          lambda s: s.timings.dt_us / 1e6),
    _each("retempo_stream_label", "gauge",
          "The place of the last decision's label, see retempo_label_info; -1 before the first.",
          lambda s: s.timings.winner),
    _each("retempo_stream_connected", "gauge", "1 while its sender is there, 0 while it is gone.",
          lambda s: float(s.connected)),
    Family("retempo_stream_clock_offset_seconds", "gauge",
           "The host's monotonic clock less the sensor's.", ("stream",),
           _clocks(lambda clock: clock.offset_us)),
    Family("retempo_stream_clock_drift_ratio", "gauge",
           "By how much the host's clock runs faster than the sensor's; 1e-6 is 1 us a second.",
           ("stream",), _clocks(lambda clock: clock.drift_ppm)),
    _timed("retempo_stream_step_seconds",
           "How long a bin's step took, with its binning where that is one call.",
           lambda s: s.timings.step),
    _timed("retempo_stream_decision_latency_seconds",
           "From the arrival of what closed a bin to its decision.", lambda s: s.timings.decision),
)  # fmt: skip

FAMILIES = (*DAEMON, *STREAM)


def metrics_table() -> str:
    """Return the table of every metric, as `docs/operations.md` holds it."""
    rows = (
        f"| `{family.name}{'_info' if family.kind == 'info' else ''}` | {family.kind} "
        f"| {', '.join(family.labels)} | {family.about} |"
        for family in FAMILIES
    )
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])
