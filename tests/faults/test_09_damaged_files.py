"""Fault 9: junk words and truncated files: skipped and counted by a named policy, the rest kept.

Every reader's own damages are in tests/sensors; here real recordings are damaged and published to
a real daemon.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from retempo.sensors.files import open_recording
from tests.daemons import COMMAND, TIMEOUT_S, Daemon, serving
from tests.faults.rig import checked, until_final, verdict
from tests.serve_config import write_config

pytestmark = [pytest.mark.fault(9), pytest.mark.recordings]

# To the network's 34x34, whatever the sensor.
FILTERS = """
[[input.filter]]
kind = "crop"
at = [0, 0]
size = "34x34"
"""


def _published(path: Path, feed: str, *options: str) -> tuple[int, dict[str, Any], str]:
    command = [*COMMAND, "publish", str(path), "--to", feed, "--json", *options]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    report = json.loads(done.stdout.splitlines()[-1])["report"] if done.stdout else {}
    return done.returncode, report, done.stderr.decode()


@pytest.mark.parametrize("name", ["evt3.raw", "evt2_sample.raw"])
def test_junk_within_a_recording_is_counted_and_the_events_round_it_are_decided(
    tmp_path: Path, recordings_folder: Path, name: str
) -> None:
    data = (recordings_folder / "recordings" / name).read_bytes()[:400_000]
    middle = 200_000 + data.index(b"\n% end") % 2 if b"\n% end" in data else 200_000
    rng = np.random.default_rng(9)
    junk = rng.integers(0, 256, 4_096, dtype=np.uint8).tobytes()
    whole, damaged = tmp_path / "whole.raw", tmp_path / "damaged.raw"
    whole.write_bytes(data)
    damaged.write_bytes(data[:middle] + junk + data[middle:])
    config = write_config(tmp_path, FILTERS)
    with serving(config) as daemon:
        code, report, error = _published(whole, daemon.feed, "--policy", "skip")
        assert code == 0, error
        code, hurt, error = _published(damaged, daemon.feed, "--policy", "skip")
        assert code == 0, error
        daemon.stop()
    checked(hurt["counters"])
    assert hurt["problems"], hurt
    # Nothing behind the junk is lost with it.
    assert hurt["counters"]["received"] >= 0.98 * report["counters"]["received"]
    # And no time of the junk, which may lie days ahead, keeps the rest from its bins.
    decided = hurt["counters"]["binned"] + hurt["counters"]["masked"]
    assert decided >= 0.9 * report["counters"]["received"]
    assert hurt["counters"]["steps"] < 600_000 + 10 * report["counters"]["steps"]


@pytest.fixture(scope="module")
def cropping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that takes a corner of any camera."""
    with serving(write_config(tmp_path_factory.mktemp("crop"), FILTERS)) as running:
        yield running
        running.stop()


@pytest.mark.parametrize("name", ["davis346.aedat4", "ncars.dat", "dvs128-mouse.aedat", "evt3.raw"])
def test_a_truncated_recording_is_decided_up_to_its_last_whole_event(
    cropping: Daemon, tmp_path: Path, recordings_folder: Path, name: str
) -> None:
    data = (recordings_folder / "recordings" / name).read_bytes()
    path = tmp_path / f"cut-{name}"
    path.write_bytes(data[: min(len(data) // 2, 1_000_000) + 3])
    whole = sum(map(len, open_recording(path, policy="skip")))
    code, report, error = _published(path, cropping.feed, "--policy", "skip")
    assert code == 0, error
    assert checked(report["counters"])["received"] == report["events"] == whole > 0


def test_what_cannot_be_read_at_all_is_refused_in_one_line(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "junk.raw"
    path.write_bytes(np.random.default_rng(10).integers(0, 256, 5_000, dtype=np.uint8).tobytes())
    code, report, error = _published(path, daemon.feed)
    assert code == 1
    assert not report
    assert len(error.splitlines()) == 1
    assert "junk.raw" in error


def test_the_daemon_decides_a_good_stream_beside_a_damaged_one(
    daemon: Daemon, tmp_path: Path, recordings_folder: Path
) -> None:
    good = sorted((recordings_folder / "nmnist" / "test").glob("*.bin"))[0]
    data = good.read_bytes()
    hurt = tmp_path / "hurt_0.bin"
    hurt.write_bytes(data[: len(data) - 2])
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        assert _published(good, daemon.feed)[0] == 0
        first = [verdict(each) for each in until_final(decisions, good.name)]
        _published(hurt, daemon.feed, "--policy", "skip")
        assert _published(good, daemon.feed)[0] == 0
        second = [verdict(each) for each in until_final(decisions, good.name)]
    assert first == second
