"""Broken messages and raw bytes against a live daemon, beside a stream that must not notice.

    python -m benchmarks.fuzz_wire [--frames 1000000] [--seed 0]

A daemon of its own process serves the demonstration's network. Recordings are published to it and
their decisions kept; then again and again while broken frames come over a connection of their own
and raw bytes over others. The decisions must be the same, the daemon must live, its memory stay.
Exit status 1 if not.
"""

import argparse
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from retempo.demo.assets import MODEL, RECORDINGS
from retempo.runtime.decision import Decision
from retempo.runtime.publisher import Sender
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message

GROWTH_MB = 32.0
TIMEOUT_S = 60.0
GOOD_RECORDINGS = 3
# A raw connection for so many broken messages.
RAW_EVERY = 200
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)

CONFIG = f"""
model = {json.dumps(str(MODEL))}
dt = "1ms"
method = "lag"
[feed]
bind = "tcp://127.0.0.1:*"
[decisions]
bind = "tcp://127.0.0.1:*"
"""

Frames = list[bytes]


@dataclass(frozen=True)
class Valid:
    """Well-formed messages of a stream, as what is broken begins."""

    header: dict[str, Any]
    payload: bytes

    def message(self, **values: Any) -> Frames:
        return [msgspec.msgpack.encode(self.header | values), self.payload]


def cut(rng: random.Random, valid: Valid, _number: int) -> Frames:
    frames = valid.message()
    which = rng.randrange(2)
    frames[which] = frames[which][: rng.randrange(len(frames[which]))]
    return frames


def empty(rng: random.Random, valid: Valid, _number: int) -> Frames:
    header, payload = valid.message()
    return rng.choice([[b""], [b"", b""], [b"", payload], [header, b""], [header], [b""] * 40])


def noise(rng: random.Random, _valid: Valid, _number: int) -> Frames:
    return [rng.randbytes(rng.randrange(400)) for _ in range(rng.randrange(1, 4))]


def flipped(rng: random.Random, valid: Valid, _number: int) -> Frames:
    frames = [bytearray(frame) for frame in valid.message()]
    for _ in range(rng.randrange(1, 5)):
        frame = rng.choice(frames)
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return [bytes(frame) for frame in frames]


def miscounted(rng: random.Random, valid: Valid, _number: int) -> Frames:
    events = valid.header["count"]
    wrong = [0, events - 1, events + 1, 2**31, 2**61, 2**63 // 7 + 1, 2**64 // 7 + 1, -1]
    return valid.message(count=rng.choice(wrong))


def of_any_value(rng: random.Random, valid: Valid, _number: int) -> Frames:
    values: list[Any] = [
        None,
        True,
        -1,
        2**63,
        2**64 - 1,
        1.5,
        float("nan"),
        "",
        "x" * 300,
        b"x",
        [],
        {},
    ]
    return valid.message(**{rng.choice(list(valid.header)): rng.choice(values)})


def into_an_open_stream(rng: random.Random, valid: Valid, number: int) -> Frames:
    """The header is right, the payload anything: addresses outside the sensor, odd polarities.

    All of it is taken; such events are counted as invalid.
    """
    size = len(valid.payload)
    payload = bytearray(rng.randbytes(size))
    if rng.random() < 0.5:
        polarities = valid.header["count"]
        payload[size - polarities :] = bytes(rng.choices((0, 1), k=polarities))
    header = valid.header | {"stream": "open", "sequence": number}
    return [msgspec.msgpack.encode(header), bytes(payload)]


KINDS: dict[str, Callable[[random.Random, Valid, int], Frames]] = {
    "cut short": cut,
    "empty or too many frames": empty,
    "random bytes": noise,
    "bits flipped": flipped,
    "count is not the payload's": miscounted,
    "a value of another type": of_any_value,
    "random payload, stream open": into_an_open_stream,
}


@dataclass
class Results:
    """What was sent, and what the daemon said of it at its end."""

    sent: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    raw: int = 0
    good_messages: int = 0
    good_runs: int = 0
    decisions: int = 0
    differing: int = 0
    before_mb: float = 0.0
    after_mb: float = 0.0
    seconds: float = 0.0
    exit_code: int = 0
    totals: dict[str, Any] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """How many of the broken messages changed nothing."""
        return sum(int(self.totals[key]) for key in ("malformed", "refused", "duplicates"))

    @property
    def findings(self) -> list[str]:
        """What should not be."""
        expected = sum(self.sent.values()) + self.good_messages
        checks = {
            f"exit code {self.exit_code}": self.exit_code == 0,
            f"{self.differing} good runs decided otherwise": self.differing == 0,
            "no good run ended beside the fuzz": self.good_runs > 0,
            f"{self.totals['messages']} messages counted, {expected} sent": (
                self.totals["messages"] == expected
            ),
            f"{self.totals['failed']} streams failed": self.totals["failed"] == 0,
            f"{self.totals['unaccounted']} streams lost count": self.totals["unaccounted"] == 0,
            f"{self.totals['door']['handshake_failures']} of {self.raw} raw connections counted": (
                self.totals["door"]["handshake_failures"] == self.raw
            ),
            f"memory grew by {self.after_mb - self.before_mb:.0f} MiB": (
                self.after_mb - self.before_mb < GROWTH_MB
            ),
        }
        return [text for text, holds in checks.items() if not holds]


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


def raw_bytes(rng: random.Random, port: int) -> None:
    """Say something that is no ZMTP, or the beginning of it, and go."""
    said = rng.choice(
        [
            rng.randbytes(rng.randrange(1, 200)),
            b"GET / HTTP/1.1\r\n\r\n",
            GREETING[: rng.randrange(len(GREETING))],
            GREETING + rng.randbytes(rng.randrange(1, 100)),
        ]
    )
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock, suppress(OSError):
        sock.sendall(said)


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


def page(results: Results, command: str) -> str:
    """Return the results as a page."""
    totals = results.totals
    rows = {f"sent: {name}": number for name, number in sorted(results.sent.items())}
    rows |= {
        "frames sent": results.frames,
        "messages that the daemon counted": totals["messages"],
        "rejected as malformed": totals["malformed"],
        "refused, of a stream that is not open": totals["refused"],
        "duplicates": totals["duplicates"],
        "events counted as invalid": totals["counters"]["invalid"],
        "raw connections": results.raw,
        "of those counted as failed handshakes": totals["door"]["handshake_failures"],
        "good runs beside it": results.good_runs,
        "their decisions": results.decisions,
        "good runs decided otherwise": results.differing,
    }
    made = (
        f"Python {platform.python_version()}, numpy {np.__version__}, libzmq {zmq.zmq_version()}, "
        f"{os.cpu_count()} cores; {results.seconds:,.0f} s."
    )
    lines = [
        "# Broken messages against a live daemon",
        "",
        f"    {command}",
        "",
        made,
        "",
        "| what | count |",
        "|---|---|",
        *(f"| {name} | {number:,} |" for name, number in rows.items()),
        f"| resident memory before, MiB | {results.before_mb:,.1f} |",
        f"| resident memory after, MiB | {results.after_mb:,.1f} |",
        "",
        *(f"Not as it should be: {finding}." for finding in results.findings),
    ]
    return "\n".join(lines).rstrip()


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
