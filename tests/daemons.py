"""A daemon in a process of its own, with its log read as it comes.

One in a thread of this process is `tests.runtime.stand_in.running_daemon`.
"""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "retempo.cli"]
TIMEOUT_S = 60.0
Line = dict[str, Any]


class Daemon:
    """A process that serves, once it is ready.

    `log` are the lines of its log so far, `said` all that it has written to stderr. `config` is
    what `serving` has it serve.
    """

    config: Path

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path = Path(__file__).parents[1],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )
        self.log: list[Line] = []
        self.said: list[str] = []
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self.process.stdout is not None
        announced = self.process.stdout.readline()
        if not announced:
            self.close()
            raise AssertionError("".join(self.said))
        ready = json.loads(announced)
        assert ready["ready"] is True
        self.feed: str = ready["feed"]
        self.decisions: str = ready["decisions"]

    def publish(self, *arguments: object) -> list[Line]:
        """Publish from another process; returns its report, a line a stream."""
        command = [*COMMAND, "publish", *map(str, arguments), "--to", self.feed, "--json"]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for(self, event: str) -> Line:
        """Return the next line of an event in the log."""
        while True:
            line = self._lines.get(timeout=TIMEOUT_S)
            assert line is not None, f"the daemon ended without a line of {event}: {self.said}"
            if line["event"] == event:
                return line

    def lines(self, event: str) -> list[Line]:
        """Return the lines of an event so far."""
        return [line for line in self.log if line["event"] == event]

    def wait(self) -> int:
        """Wait until it has ended and all that it said is read; returns its exit code."""
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> list[Line]:
        """Signal it; returns its log. Whoever breaks the sum rule ends with another code than 0."""
        self.process.send_signal(kind)
        code = self.wait()
        if kind is not signal.SIGKILL:
            assert code == 0, self.said
            assert len(self.log) == len(self.said), self.said
        return self.log

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.said.append(text)
            with suppress(ValueError):
                self.log.append(json.loads(text))
                self._lines.put(self.log[-1])
        self._lines.put(None)


@contextmanager
def started(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """Run `python ARGUMENTS`, which serves, for as long as a test needs it."""
    with closing(Daemon(arguments, environment=environment)) as daemon:
        yield daemon


@contextmanager
def serving(config: Path) -> Iterator[Daemon]:
    """Run `retempo serve` for as long as a test needs it."""
    with started("-m", "retempo.cli", "serve", str(config)) as daemon:
        daemon.config = config
        yield daemon
