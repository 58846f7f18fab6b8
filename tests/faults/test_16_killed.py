"""Fault 16: `kill -9` in the midst of steps and of a checkpoint: decided as if it had not been.

The publisher comes back by itself, and so does whoever listens. Hundreds of kills are in
`benchmarks.kill_nine`.
"""

import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.daemons import TIMEOUT_S, serving
from tests.faults.rig import GRID, checked, random_chunks, replayed, verdict
from tests.sensors.writing.sources import Given
from tests.serve_config import deployed, write_config

pytestmark = pytest.mark.fault(16)

STREAMS = ("left", "right")


def _config(folder: Path, every: str) -> Path:
    """At ports that a restart finds again."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = [each.getsockname()[1] for each in (one, two)]
    feed, decisions = (f"tcp://127.0.0.1:{port}" for port in ports)
    tables = f'[checkpoint]\nfolder = "checkpoints"\nevery = "{every}"'
    return write_config(folder, tables, feed=feed, decisions=decisions, feed_keys='grace = "60s"')


class Listener(threading.Thread):
    """Receives through every restart, until each stream has its last decision."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.received: list[Decision] = []
        self.grown = threading.Condition()
        self._decisions = Decisions(endpoint, timeout_s=TIMEOUT_S)

    def run(self) -> None:
        finals = 0
        with self._decisions as decisions:
            while finals < len(STREAMS):
                decision = decisions.receive(TIMEOUT_S)
                if decision is None:
                    return
                with self.grown:
                    self.received.append(decision)
                    self.grown.notify()
                finals += decision.final

    def wait_for(self, more: int) -> None:
        """Wait until so many more decisions have come."""
        with self.grown:
            most = len(self.received) + more
            assert self.grown.wait_for(lambda: len(self.received) >= most, TIMEOUT_S)


def _in_the_midst_of_a_checkpoint(folder: Path) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not (folder / "checkpoints" / ".checkpoint.part").exists():
        assert time.monotonic() < until_s


@pytest.mark.parametrize(("every", "kills"), [("200ms", 2), ("20ms", 1)])
def test_a_killed_daemon_decides_as_if_it_had_never_been_killed(
    tmp_path: Path, every: str, kills: int
) -> None:
    config = _config(tmp_path, every)
    sent: dict[str, list[EventChunk]] = {
        name: random_chunks(700, 120, seed) for seed, name in enumerate(STREAMS)
    }
    with ExitStack() as running:
        daemon = running.enter_context(serving(config))
        listener = Listener(daemon.decisions)
        listener.start()
        with ThreadPoolExecutor(len(sent)) as pool:
            reports = {
                name: pool.submit(
                    publish,
                    Given(chunks, GRID, name=name),
                    daemon.feed,
                    speed=1.0,
                    timeout_s=2.0,
                    patience_s=TIMEOUT_S,
                )
                for name, chunks in sent.items()
            }
            for _ in range(kills):
                listener.wait_for(500)
                if every == "20ms":
                    _in_the_midst_of_a_checkpoint(tmp_path)
                daemon.stop(signal.SIGKILL)
                began_s = time.monotonic()
                daemon = running.enter_context(serving(config))
                # The row says 2 s; benchmarks.kill_nine measures it where nobody else works.
                assert time.monotonic() - began_s < TIMEOUT_S
            counters = {name: report.result(TIMEOUT_S) for name, report in reports.items()}
        listener.join(TIMEOUT_S)
        log = daemon.stop()
    restored = [line["stream"] for line in log if line["event"] == "stream_restored"]
    assert sorted(map(str, restored)) == sorted(STREAMS)
    ids = Counter((each.stream, each.epoch, each.sequence) for each in listener.received)
    assert max(ids.values()) == 1
    for name, chunks in sent.items():
        expected, plain = replayed(deployed(config), chunks)
        made = [each for each in listener.received if each.stream == name]
        assert [verdict(each) for each in made] == expected
        assert len({each.epoch for each in made}) == 1
        assert checked(counters[name].counters)["binned"] == plain["binned"]
        assert counters[name].counters == plain
        # A daemon that is not up yet is asked again.
        assert counters[name].reopened >= kills
