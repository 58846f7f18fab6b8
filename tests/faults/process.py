"""`retempo serve` in a process of its own, with its log read as it comes."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retempo.demo.assets import MODEL
from retempo.runtime.config import load_config
from retempo.runtime.deployment import Deployment
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of

TIMEOUT_S = 60.0
Line = dict[str, Any]


class Daemon:
    """A process that serves, and what it says."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=None if environment is None else dict(environment),
        )
        self.log: list[Line] = []
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.feed: str = ready["feed"]
        self.decisions: str = ready["decisions"]

    def wait_for(self, event: str) -> Line:
        """The next line of an event in the log."""
        while True:
            line = self._lines.get(timeout=TIMEOUT_S)
            assert line is not None, f"the daemon ended without a line of {event}: {self.log}"
            if line["event"] == event:
                return line

    def lines(self, event: str) -> list[Line]:
        return [line for line in self.log if line["event"] == event]

    def end(self, kind: signal.Signals) -> float:
        """Signal it, wait until it has ended; returns how many seconds that took."""
        began_s = time.monotonic()
        self.process.send_signal(kind)
        self.process.wait(TIMEOUT_S)
        took_s = time.monotonic() - began_s
        self._reader.join(TIMEOUT_S)
        return took_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            line = json.loads(text)
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)


def configured(folder: Path, sections: str = "") -> Path:
    """A deployment of the demonstration's network at free ports."""
    path = folder / "serve.toml"
    path.write_text(
        f"""
        model = {json.dumps(str(MODEL))}
        dt = "1ms"
        method = "lag"
        [feed]
        bind = "tcp://127.0.0.1:*"
        [decisions]
        bind = "tcp://127.0.0.1:*"
        [engine]
        name = "sparse"
        [metrics]
        bind = "127.0.0.1:*"
        {sections}
        """
    )
    return path


def deployment_at(path: Path) -> Deployment:
    """The same deployment in this process."""
    return deployment_of(load_config(path, ServeConfig), path.parent)


@contextmanager
def daemon(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """Run a command that serves, `-m MODULE ...`."""
    running = Daemon([sys.executable, *command], environment)
    try:
        yield running
    finally:
        running.close()


def total_of(counters: Mapping[str, int]) -> int:
    """What the sum rule says was received."""
    return sum(counters[name] for name in ("binned", "late", "invalid", "masked", "shed"))
