"""Broken messages and raw bytes against a live daemon, beside a stream that must not notice.

    python -m benchmarks.fuzz_wire [--frames 1000000] [--seed 0]

A daemon of its own process serves the demonstration's network. Recordings are published to it and
their decisions kept; then again and again while broken frames come over a connection of their own
and raw bytes over others. The decisions must be the same, the daemon must live, its memory stay.
Exit status 1 if not.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle
from pathlib import Path
from typing import Any

import msgspec
import zmq

from benchmarks.fuzzing.broken_messages import KINDS, Valid, raw_bytes
from benchmarks.fuzzing.wire_results import Results, page
from retempo.demo.assets import MODEL, RECORDINGS
from retempo.runtime.decision import Decision
from retempo.runtime.publisher import Sender
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message

TIMEOUT_S = 60.0
GOOD_RECORDINGS = 3
# A raw connection for so many broken messages.
RAW_EVERY = 200

CONFIG = f"""
model = {json.dumps(str(MODEL))}
dt = "1ms"
method = "lag"
[feed]
bind = "tcp://127.0.0.1:*"
[decisions]
bind = "tcp://127.0.0.1:*"
"""


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def served(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str], Path]]:
    """Run a daemon; yields it, its endpoints and its log."""
    config, log = folder / "serve.toml", folder / "log"
    config.write_text(CONFIG)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "retempo.cli", "serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline()), log
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Good:
    """Recordings published one after the other, and what is decided of them."""

    def __init__(self, ready: dict[str, str], results: Results) -> None:
        self._paths = sorted(RECORDINGS.glob("*.bin"))[:GOOD_RECORDINGS]
        self._ready = ready
        self._results = results
        self._reference: dict[str, list[Any]] = {}
        self._sender = Sender(ready["feed"], TIMEOUT_S)
        self._decisions = Decisions(
            ready["decisions"], [path.name for path in self._paths], timeout_s=TIMEOUT_S
        )
        for path in self._paths:
            self._reference[path.name] = self._run(path)

    def until(self, done: threading.Event) -> None:
        """Publish and compare until `done`, once at least."""
        for path in cycle(self._paths):
            run = self._run(path)
            self._results.good_runs += 1
            self._results.decisions += len(run)
            self._results.differing += run != self._reference[path.name]
            if done.is_set():
                return

    def close(self) -> None:
        self._sender.close()
        self._decisions.close()

    def _run(self, path: Path) -> list[Any]:
        report = self._sender.publish(open_recording(path))
        self._results.good_messages += report.messages + 2
        run: list[Any] = []
        while not run or not run[-1][-1]:
            decision = self._decisions.receive(TIMEOUT_S)
            assert decision is not None, f"no decision of {path.name}"
            run.append(_essence(decision))
        return run


def _essence(d: Decision) -> tuple[Any, ...]:
    return d.stream, d.sequence, d.t_us, d.label, tuple(d.scores), str(d.counters), d.final


def send_broken(feed: str, frames: int, seed: int, results: Results) -> None:
    """Send so many frames of broken messages, and raw bytes between them."""
    rng = random.Random(seed)  # noqa: S311
    port = int(feed.rsplit(":", 1)[1])
    recording = open_recording(min(RECORDINGS.glob("*.bin")))
    geometry = recording.geometry
    whole = next(iter(recording))
    few = EventChunk(whole.t_us[:8], int(whole.t_us[7]), whole.x[:8], whole.y[:8], whole.on[:8])  # type: ignore[index]
    at = Cursor("never opened", geometry, seed + 1)
    header, payload = encode_message("events", few, at)
    valid = Valid(msgspec.msgpack.decode(header), bytes(payload))
    context = zmq.Context()
    sock = context.socket(zmq.DEALER)
    sock.set(zmq.SNDTIMEO, int(TIMEOUT_S * 1e3))
    sock.connect(feed)
    opened = Cursor("open", geometry, seed + 1)
    sock.send_multipart(encode_message("open", no_events(geometry, 0), opened))
    assert b"credit" in sock.recv()
    results.sent["open and end"] += 1
    numbers = count()
    number = 0
    names = list(KINDS)
    while results.frames < frames:
        name = rng.choice(names)
        if name == "random payload, stream open":
            number = next(numbers)
        message = KINDS[name](rng, valid, number)
        sock.send_multipart(message)
        results.sent[name] += 1
        results.frames += len(message)
        with suppress(zmq.Again):
            while True:
                sock.recv(zmq.NOBLOCK)
        if sum(results.sent.values()) % RAW_EVERY == 0:
            raw_bytes(rng, port)
            results.raw += 1
    end = encode_message("end", no_events(geometry, few.t_end_us), opened)
    sock.send_multipart(end)
    results.sent["open and end"] += 1
    while b"ended" not in sock.recv():
        pass
    sock.close(0)
    context.term()


def fuzz(frames: int, seed: int) -> Results:
    """Run it all against a daemon of its own process."""
    results = Results()
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as (process, ready, log):
        good = Good(ready, results)
        # What the daemon needs for its first broken messages is not growth.
        send_broken(ready["feed"], min(frames // 10, 20_000), seed + 1, results)
        results.before_mb = resident_mb(process.pid)
        warm_up, results.frames = results.frames, 0
        done = threading.Event()
        beside = threading.Thread(target=good.until, args=(done,))
        began = time.monotonic()
        beside.start()
        try:
            send_broken(ready["feed"], frames - warm_up, seed, results)
        finally:
            done.set()
            beside.join()
        results.seconds = time.monotonic() - began
        results.frames += warm_up
        results.after_mb = resident_mb(process.pid)
        good.close()
        process.send_signal(signal.SIGTERM)
        results.exit_code = process.wait(TIMEOUT_S)
        results.totals = json.loads(log.read_text().splitlines()[-1])
    return results


def main() -> None:
    """Fuzz and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results = fuzz(options.frames, options.seed)
    print(page(results, "python -m benchmarks.fuzz_wire " + " ".join(sys.argv[1:])))
    sys.exit(bool(results.findings))


if __name__ == "__main__":
    main()
