"""Faults 16 and 18 against the real process: killed, ended and started anew by its checkpoints."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.kill_nine import (
    CHUNK_US,
    Daemon,
    chunks_of,
    kill_at_random,
    write_config,
)
from benchmarks.kill_results import table
from benchmarks.lives import Collector, Key, uninterrupted
from benchmarks.resending import ResendingSender
from retempo.runtime.config import load_config
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of
from retempo.sensors.geometry import GridGeometry

PATIENCE_S = 60.0


def test_killed_at_random_moments_it_decides_as_if_nothing_had_happened(tmp_path: Path) -> None:
    result = kill_at_random(write_config(tmp_path), 2, seed=1, chunks=80)
    assert (result.kills, result.differing, result.repeated) == (2, 0, 0)
    assert result.decisions > 3_000
    assert result.sent_again > 0
    assert "runs whose decisions differ | 0 |" in table(result)


def essences(collectors: Sequence[Collector]) -> dict[Key, object]:
    received = [each for collector in collectors for each in collector.received]
    assert len({key for key, _ in received}) == len(received)
    return dict(received)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_and_started_anew_it_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    config = write_config(tmp_path)
    deployment = deployment_of(load_config(config, ServeConfig), config.parent)
    geometry = deployment.geometry
    assert isinstance(geometry, GridGeometry)
    drawn = chunks_of(geometry, 3, 60)
    daemon = Daemon(config)
    first = Collector(daemon.decisions, {"a": (9, -1)})
    sender = ResendingSender(daemon.feed, "a", 9, geometry, drawn, CHUNK_US / 1e6)
    first.start()
    sender.start()
    while not first.received:
        time.sleep(0.01)
    assert daemon.end(number) == 0
    first.stop()
    assert sender.ended is None
    assert not any(value[4] for _, value in first.received)
    log = [msgspec.json.decode(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert log[-1]["event"] == "totals"
    assert log[-1]["counters"]["received"] > 0
    assert log[-1]["checkpoint_failures"] == 0
    again = Daemon(config)
    later = Collector(again.decisions, first.last)
    later.start()
    sender.come_back(again.feed)
    sender.join(PATIENCE_S)
    later.stop()
    assert again.end(signal.SIGTERM) == 0
    # All that was received had been stepped: nothing of it was asked for again.
    assert essences([first, later]) == uninterrupted(deployment, "a", 9, drawn)


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """A folder that is a file: what root may not write to either."""
    config = write_config(tmp_path)
    (tmp_path / "checkpoints").write_bytes(b"")
    deployment = deployment_of(load_config(config, ServeConfig), config.parent)
    geometry = deployment.geometry
    assert isinstance(geometry, GridGeometry)
    drawn = chunks_of(geometry, 4, 30)
    daemon = Daemon(config)
    collector = Collector(daemon.decisions, {"a": (9, -1)})
    sender = ResendingSender(daemon.feed, "a", 9, geometry, drawn, CHUNK_US / 1e6)
    collector.start()
    sender.start()
    sender.join(PATIENCE_S)
    collector.stop()
    assert daemon.end(signal.SIGTERM) == 0
    assert essences([collector]) == uninterrupted(deployment, "a", 9, drawn)
    log = [msgspec.json.decode(line) for line in (tmp_path / "log").read_text().splitlines()]
    failed = [line for line in log if line["event"] == "checkpoint_failed"]
    assert failed
    assert {line["level"] for line in failed} == {"error"}
    assert all("exists" in line["reason"] or "directory" in line["reason"] for line in failed)
    assert log[-1]["checkpoint_failures"] >= 1
