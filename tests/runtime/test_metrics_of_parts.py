"""What checkpoints, the journal, models, the door and the sensors' clocks show to who watches."""

from dataclasses import replace
from pathlib import Path

import pytest

from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_stream import FeedReport
from retempo.runtime.journal import Journal
from retempo.runtime.journal_config import journal_chore
from retempo.runtime.journal_format import Begin
from retempo.runtime.metric_families import Scrape
from retempo.runtime.metrics import ScrapeCollector, render
from retempo.runtime.security.door import DoorCounts
from retempo.runtime.snapshot import ServerSnapshot, take_snapshot
from retempo.runtime.timings import Timings
from tests.runtime.stand_in import Peer
from tests.runtime.test_metrics import feed_some
from tests.runtime.watched import FACTS, Values, value, values_of, watched_daemon


def shown(server: ServerSnapshot, uptime_s: float = 90.0, age_s: float = 0.5) -> Values:
    """The page of a snapshot."""
    scrape = Scrape(server, FACTS, uptime_s, age_s)
    return values_of(render(ScrapeCollector(lambda: scrape, lambda: ()), "")[0].decode())


def test_what_the_report_counts_of_checkpoints_models_and_the_door_is_shown() -> None:
    door = DoorCounts(5, 9, 1, 2, 3, 4, 6)
    report = FeedReport(
        resumed=11,
        restored=12,
        swaps=13,
        swap_refusals=14,
        checkpoints=15,
        checkpoint_failures=16,
        door=door,
    )
    snapshot = take_snapshot([], report, Timings(), 0.0, 0.0)
    door.connections = 99  # what happens afterwards is not in the copy
    values = shown(snapshot)
    for name, count in {
        "retempo_streams_resumed_total": 11,
        "retempo_streams_restored_total": 12,
        "retempo_swaps_total": 13,
        "retempo_swap_refusals_total": 14,
        "retempo_checkpoints_total": 15,
        "retempo_checkpoint_failures_total": 16,
        "retempo_connections": 5,
        "retempo_connected_total": 9,
        "retempo_revoked_messages_total": 6,
    }.items():
        assert value(values, name) == count, name
    refused = "retempo_refused_connections_total"
    assert {
        reason: value(values, refused, reason=reason)
        for reason in ("key", "full", "handshake", "files")
    } == {"key": 1, "full": 2, "handshake": 3, "files": 4}


@pytest.mark.parametrize(("written_us", "age_s"), [(None, 90.0), (4e6, 6.5)])
def test_the_age_of_a_checkpoint_counts_from_the_last_one_or_from_the_start(
    written_us: float | None, age_s: float
) -> None:
    snapshot = take_snapshot(
        [], FeedReport(), Timings(), 0.0, 10e6, keeps_checkpoints=True, checkpointed_us=written_us
    )
    assert value(shown(snapshot), "retempo_checkpoint_age_seconds") == age_s
    unkept = shown(replace(snapshot, keeps_checkpoints=False))
    assert ("retempo_checkpoint_age_seconds", ()) not in unkept


def test_how_a_sensors_clock_runs_is_shown_and_whether_its_sender_is_there() -> None:
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        feed_some(watched, peer)
        stream = watched.servers[0].streams["cam"]
        once = watched.scrape()
        stream.clock.observe(10_000_000, 10_000_000.0 + (stream.clock.offset_us or 0.0) + 80.0)
        stream.gone_us = 0.0
        twice = watched.scrape()
        offset_us, drift_ppm = stream.clock.offset_us, stream.clock.drift_ppm
    assert offset_us is not None
    assert drift_ppm == pytest.approx(8, rel=0.01)
    offset, drift = "retempo_stream_clock_offset_seconds", "retempo_stream_clock_drift_ratio"
    assert value(twice, offset, stream="cam") == pytest.approx(offset_us / 1e6, rel=1e-9)
    assert value(twice, offset, stream="cam") > value(once, offset, stream="cam")
    assert value(twice, drift, stream="cam") == pytest.approx(drift_ppm / 1e6)
    assert (drift, (("stream", "cam"),)) not in once
    connected = "retempo_stream_connected"
    assert [value(page, connected, stream="cam") for page in (once, twice)] == [1, 0]


def test_a_journal_shows_what_it_has_taken_and_whether_it_was_stopped(tmp_path: Path) -> None:
    begin = Begin(1, 7, 0, "0", "sparse", "m", "s", "{}", ".", None)
    journal = Journal(tmp_path, begin, file_bytes=1 << 24, files=2, log=EventLog())
    with (
        watched_daemon(recorder=journal) as watched,
        Peer(watched.daemon.feed) as peer,
    ):
        journal_chore(journal)(watched.servers[0])
        feed_some(watched, peer)
        before = watched.scrape()
        journal._stopped, journal.failures, journal.dropped = True, 1, 7
        after = watched.scrape()
    journal.close()
    # The opening, and two messages.
    assert value(before, "retempo_journal_records_total") == 3
    numbers = ("dropped_records_total", "failures_total", "stopped")
    assert [value(before, f"retempo_journal_{name}") for name in numbers] == [0, 0, 0]
    assert [value(after, f"retempo_journal_{name}") for name in numbers] == [7, 1, 1]
