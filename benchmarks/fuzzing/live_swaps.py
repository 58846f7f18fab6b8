"""A running daemon that is handed one damaged model after the other while it decides a stream."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retempo.runtime.control_client import ask
from retempo.runtime.control_protocol import Status, StopRequest, Swap
from retempo.runtime.publish_report import PublishReport
from retempo.runtime.publisher import publish
from retempo.runtime.trial import KINDS
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry

_TIMEOUT_S = 120.0
_SENSOR = GridGeometry(3, 2, 2)
_CONFIG = """
model = "whole.onnx"
dt = "5ms"
method = "integral"
[feed]
bind = "tcp://127.0.0.1:*"
[decisions]
bind = "tcp://127.0.0.1:*"
[control]
bind = "ipc://control"
[models]
stamps = "stamps"
[engine]
name = "sparse"
"""


@dataclass
class Live:
    """What became of the models and of the stream."""

    swaps: int = 0
    accepted: int = 0
    refused: int = 0
    unnamed: int = 0
    decisions: int = 0
    events: int = 0
    code: int | None = None
    whole: bool = False
    log: str = ""

    @property
    def well(self) -> bool:
        """Whether each was named, nothing was lost and the daemon ended by itself."""
        return self.whole and not self.unnamed and self.code == 0


@dataclass
class _Events:
    """Events at the sensor's pace until the last model has been handed over."""

    done: threading.Event
    name: str = "fuzzed"
    geometry: Geometry = _SENSOR
    sent: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __iter__(self) -> Iterator[EventChunk]:
        begin_us, left = 0, 20
        while left:
            left -= self.done.is_set()
            size = int(self.rng.integers(1, 50))
            t_us = np.sort(self.rng.integers(begin_us, begin_us + 10_000, size))
            begin_us += 10_000
            self.sent += size
            x, y = (self.rng.integers(0, n, size).astype(np.uint16) for n in (3, 2))
            yield EventChunk(t_us, begin_us, x=x, y=y, on=self.rng.random(size) < 0.5)


def swap_all(folder: Path, whole: bytes, contents: list[bytes]) -> Live:
    """Serve a whole model, swap to each of the others in turn under load, and end."""
    (folder / "whole.onnx").write_bytes(whole)
    (folder / "serve.toml").write_text(_CONFIG)
    live = Live()
    command = [sys.executable, "-m", "retempo.cli", "serve", "serve.toml"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=(folder / "log").open("wb")
    ) as daemon:
        try:
            assert daemon.stdout is not None
            feed = json.loads(daemon.stdout.readline())["feed"]
            _swap(folder, feed, contents, live)
            live.code = daemon.wait(_TIMEOUT_S)
        finally:
            daemon.kill()
    live.log = (folder / "log").read_text()
    return live


def _swap(folder: Path, feed: str, contents: list[bytes], live: Live) -> None:
    control = f"ipc://{folder / 'control'}"
    source = _Events(threading.Event())
    reports: list[PublishReport] = []
    thread = threading.Thread(
        target=lambda: reports.append(publish(source, feed, speed=1.0, timeout_s=_TIMEOUT_S))
    )
    thread.start()
    try:
        for content in contents:
            (folder / "fuzzed.onnx").write_bytes(content)
            reply = ask(control, Swap("fuzzed.onnx"), _TIMEOUT_S)
            live.swaps += 1
            named = reply.get("kind") in KINDS and bool(reply.get("error"))
            live.accepted += reply["ok"]
            live.refused += not reply["ok"] and named
            live.unnamed += not reply["ok"] and not named
        # What was accepted last may not be whole: the stream ends by the model that it began with.
        assert ask(control, Swap("whole.onnx"), _TIMEOUT_S)["ok"]
    finally:
        source.done.set()
        thread.join(_TIMEOUT_S)
    status = ask(control, Status(), _TIMEOUT_S)
    ask(control, StopRequest(), _TIMEOUT_S)
    if reports:
        counters = reports[0].counters
        live.events, live.decisions = source.sent, counters["steps"]
        served = status["ok"] and status["report"]["failed"] == 0
        live.whole = served and counters["received"] == counters["binned"] == source.sent
