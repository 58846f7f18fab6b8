"""`retempo record`: a live source as a file, ended by real signals."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retempo.sensors.files import open_recording, read_all
from tests.cli.conftest import Invoke
from tests.cli.test_bad_input import one_line

COMMAND = [sys.executable, "-m", "retempo.cli", "record"]
TIMEOUT_S = 60.0


class Recorded:
    """A recording of a UDP source in another process, whose stderr is a terminal."""

    def __init__(
        self, process: subprocess.Popen[bytes], terminal: int, sender: socket.socket
    ) -> None:
        self.process = process
        self._terminal = terminal
        self._sender = sender
        self._seen = ""
        self.port = int(self.see(r"datagrams at 127\.0\.0\.1:(\d+)")[1])

    def send(self, events: list[tuple[int, int, int, int]]) -> None:
        """Send events `(t_us, x, y, on)` as a datagram of timed words."""
        words = [(x << 16 | on << 15 | y, t_us) for t_us, x, y, on in events]
        data = b"".join(struct.pack("<II", *word) for word in words)
        self._sender.sendto(data, ("127.0.0.1", self.port))

    def see(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows something."""
        until_s = time.monotonic() + TIMEOUT_S
        while (found := re.search(pattern, self._seen)) is None:
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"the terminal shows {self._seen!r}, not {pattern}"
            if select.select([self._terminal], [], [], left_s)[0]:
                self._seen += os.read(self._terminal, 65_536).decode()
        return found

    def end(self) -> str:
        """Wait for the end; returns stdout."""
        out, _ = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0
        return out.decode()


@contextmanager
def recording(out: Path, *options: str) -> Iterator[Recorded]:
    source = "udp://127.0.0.1:0?size=34x34&time=sensor"
    ours, theirs = pty.openpty()
    command = [*COMMAND, source, str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            yield Recorded(process, ours, sender)
        finally:
            process.kill()
            process.communicate()
            os.close(ours)


@pytest.mark.parametrize(
    ("suffix", "number"),
    [
        (".npz", signal.SIGINT),
        (".h5", signal.SIGTERM),
        (".raw", signal.SIGINT),
        (".aedat4", signal.SIGTERM),
    ],
)
def test_what_came_until_a_signal_is_kept(
    tmp_path: Path, suffix: str, number: signal.Signals
) -> None:
    out = tmp_path / f"live{suffix}"
    sent = [(1_000 + k, k % 34, k % 7, k % 2) for k in range(2_000)]
    with recording(out, "--json") as live:
        for start in range(0, len(sent), 100):
            live.send(sent[start : start + 100])
        live.see(r"2,000 events")
        assert not out.exists()
        live.process.send_signal(number)
        report = json.loads(live.end())
    assert (report["interrupted"], report["error"]) == (True, None)
    assert report["events_in"] == report["out"]["events"] == 2_000
    kept = read_all(open_recording(out))
    assert kept.x is not None
    assert kept.y is not None
    assert kept.on is not None
    rows = zip(kept.t_us.tolist(), kept.x.tolist(), kept.y.tolist(), kept.on.tolist(), strict=True)
    assert list(rows) == sent
    assert list(tmp_path.iterdir()) == [out]


def test_a_recording_ends_after_the_time_that_it_is_given(tmp_path: Path) -> None:
    out = tmp_path / "live.csv"
    with recording(out, "--for", "5ms") as live:
        live.send([(k * 1_000, 1, 2, 1) for k in range(20)])
        told = live.end()
    assert read_all(open_recording(out)).t_us.tolist() == [0, 1_000, 2_000, 3_000, 4_000]
    assert told.startswith(f"{out}: 5 events in, 5 out; CSV of 34x34x2, ")


def test_a_silent_source_ends_by_the_hosts_clock(tmp_path: Path) -> None:
    out = tmp_path / "live.npz"
    with recording(out, "--for", "100ms") as live:
        told = live.end()
    assert told.startswith(f"{out}: 0 events in, 0 out; ")
    assert len(read_all(open_recording(out))) == 0


def test_what_a_live_source_lost_is_told(tmp_path: Path) -> None:
    with recording(tmp_path / "live.npz") as live:
        live.send([(10, 1, 2, 1), (11, 99, 2, 1), (12, 3, 4, 0)])
        live.see(r"2 events")
        live.process.send_signal(signal.SIGINT)
        told = live.end()
    assert "interrupted, 2 events in, 2 out; problems: 1 outside; 1 lost; NPZ" in told


def test_a_simulated_camera_is_recorded_to_its_end(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "three.npz"
    outcome = invoke("record", "simulated:3", out, "--filter", "crop=0,0,17x34", "--json")
    report = outcome.json
    assert isinstance(report, dict)
    assert report["out"]["events"] < report["events_in"]
    assert report["out"]["removed"] == {"crop": report["events_in"] - report["out"]["events"]}
    part = tmp_path / "part.npz"
    assert invoke("record", "simulated:3", part, "--for", "20ms").code == 0
    times = read_all(open_recording(part)).t_us
    assert times[-1] - times[0] < 20_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("simulated:3", "three.xyz"), "those are"),
        (("simulated:x", "three.npz"), "expected a digit"),
        (("simulated:3", "three.npz", "--for", "0s"), "positive multiple"),
        (("simulated:3", "no/three.npz"), "there is no folder"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(
    invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    source, out, *options = arguments
    assert says in one_line(invoke("record", source, tmp_path / out, *options))
    assert list(tmp_path.iterdir()) == []
