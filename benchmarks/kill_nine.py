"""`kill -9` at random moments under load: do the decisions equal those of an uninterrupted run?

    python -m benchmarks.kill_nine --kills 50

The daemon is `retempo serve` with the demonstration's network and a checkpoint each 20 ms, so that
kills hit it in the midst of writing; every second kill waits for a write to begin. After each kill
the daemon is started anew, the senders resend what its checkpoint lacks, and every decision is
compared by stream, epoch and sequence. Prints one table; exits with 1 if any differs.
"""

import argparse
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.kill_results import Result, table
from benchmarks.lives import Collector, Essence, Key, uninterrupted
from benchmarks.resending import ResendingSender
from retempo.demo.assets import MODEL
from retempo.runtime.config import load_config
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry

STREAMS = 4
CHUNKS = 240
CHUNK_US = 5_000
EVENTS = 150
# Twice as fast as the sensor.
SPEED = 2.0
_PATIENCE_S = 60.0

CONFIG = """
model = "{model}"
dt = "1ms"
method = "lag"
[feed]
bind = "tcp://127.0.0.1:*"
window = 16
[decisions]
bind = "tcp://127.0.0.1:*"
every = "bin"
format = "msgpack"
[engine]
name = "{engine}"
[readout]
kind = "leaky"
[[input.filter]]
kind = "refractory"
span = "200us"
[checkpoint]
folder = "checkpoints"
every = "{every}"
"""


class Daemon:
    """`retempo serve` in a process of its own."""

    def __init__(self, config: Path) -> None:
        self.started_s = time.monotonic()
        self.log = (config.parent / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "retempo.cli", "serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.monotonic()
        if not line:
            raise RuntimeError(f"the daemon did not start; see {self.log.name}")
        ready = msgspec.json.decode(line)
        self.feed, self.decisions = str(ready["feed"]), str(ready["decisions"])

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        return code


def chunks_of(geometry: GridGeometry, seed: int, chunks: int = CHUNKS) -> list[EventChunk]:
    """Draw a stream of random events."""
    rng = np.random.default_rng(seed)
    drawn = []
    for k in range(chunks):
        t_us = np.sort(rng.integers(k * CHUNK_US, (k + 1) * CHUNK_US, EVENTS)).astype(np.int64)
        x = rng.integers(0, geometry.width, EVENTS).astype(np.uint16)
        y = rng.integers(0, geometry.height, EVENTS).astype(np.uint16)
        on = rng.random(EVENTS) < 0.5
        drawn.append(EventChunk(t_us, (k + 1) * CHUNK_US, x=x, y=y, on=on))
    return drawn


def write_config(folder: Path, every: str = "20ms", engine: str = "sparse") -> Path:
    """Write the configuration of a daemon into a folder."""
    config = folder / "serve.toml"
    config.write_text(CONFIG.format(model=MODEL, every=every, engine=engine))
    return config


def kill_at_random(
    config: Path,
    kills: int,
    seed: int = 0,
    chunks: int = CHUNKS,
    *,
    report: bool = False,
    until_s: float = math.inf,
) -> Result:
    """Kill the daemon so often, each time in the midst of new streams; compare them all.

    After `until_s` on the monotonic clock no more is begun: what was done is returned.
    """
    deployment = deployment_of(load_config(config, ServeConfig), config.parent)
    geometry = deployment.geometry
    assert isinstance(geometry, GridGeometry)
    rng = np.random.default_rng(seed)
    result = Result()
    beside = config.parent / "checkpoints" / ".checkpoint.part"
    daemon = Daemon(config)
    try:
        for kill in range(kills):
            if time.monotonic() > until_s:
                break
            streams = {f"s{kill}-{k}": 1 + 100 * kill + k for k in range(STREAMS)}
            drawn = {name: chunks_of(geometry, epoch, chunks) for name, epoch in streams.items()}
            expected: dict[Key, Essence] = {}
            for name, epoch in streams.items():
                expected |= uninterrupted(deployment, name, epoch, drawn[name])
            collector = Collector(daemon.decisions, {n: (e, -1) for n, e in streams.items()})
            collector.start()
            senders = [
                ResendingSender(daemon.feed, n, e, geometry, drawn[n], CHUNK_US / 1e6 / SPEED)
                for n, e in streams.items()
            ]
            for sender in senders:
                sender.start()
            time.sleep(rng.uniform(0.02, 0.9) * chunks * CHUNK_US / 1e6 / SPEED)
            if kill % 2:
                _wait_for_write(beside)
            daemon.end(signal.SIGKILL)
            result.mid_checkpoint += beside.exists()
            collector.stop()
            daemon = Daemon(config)
            later = Collector(daemon.decisions, collector.last)
            later.start()
            for sender in senders:
                sender.come_back(daemon.feed)
            for sender in senders:
                sender.join(_PATIENCE_S)
            later.stop()
            _compare(result, expected, [collector, later], senders)
            result.kills += 1
            result.ready_s.append(daemon.ready_s - daemon.started_s)
            if later.first_s is not None:
                result.resumed_s.append(later.first_s - daemon.started_s)
                result.answered_s.append(later.first_s - daemon.ready_s)
            if report:
                print(f"{kill + 1}/{kills}: {result.differing} differ", file=sys.stderr)
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGTERM)
    return result


def _wait_for_write(beside: Path) -> None:
    until_s = time.monotonic() + 0.5
    while not beside.exists() and time.monotonic() < until_s:
        pass


def _compare(
    result: Result,
    expected: dict[Key, Essence],
    collectors: Sequence[Collector],
    senders: Sequence[ResendingSender],
) -> None:
    found: dict[Key, Essence] = {}
    for collector in collectors:
        for key, value in collector.received:
            result.repeated += key in found
            found[key] = value
    finals = {key[0]: value[-1] for key, value in expected.items() if value[4]}
    ended = {sender.name_of_stream: sender.ended for sender in senders}
    if found != expected or ended != finals:
        result.differing += 1
        lacking = len(expected.keys() - found.keys())
        strange = len(found.keys() - expected.keys())
        other = sum(found[key] != expected[key] for key in found.keys() & expected.keys())
        print(
            f"differs: {lacking} missing, {strange} strange, {other} other; "
            f"ended {ended} instead of {finals}",
            file=sys.stderr,
        )
    result.decisions += len(found)
    result.sent_again += sum(sender.sent_again for sender in senders)


def main() -> int:
    """Run and print the table; returns 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--every", default="20ms", help="between two checkpoints")
    parser.add_argument("--engine", default="sparse")
    parser.add_argument("--most-s", type=float, default=3_600.0, help="begin no kill after that")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(Path(folder), given.every, given.engine)
        until_s = time.monotonic() + given.most_s
        result = kill_at_random(config, given.kills, given.seed, report=True, until_s=until_s)
    print(table(result))
    return 1 if result.differing or result.repeated or not result.kills else 0


if __name__ == "__main__":
    sys.exit(main())
