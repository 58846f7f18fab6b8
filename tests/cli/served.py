"""A daemon of its own process, and what to hold its decisions against."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from retempo.runtime.subscriber import Decisions

if TYPE_CHECKING:
    from tests.cli.conftest import Invoke

COMMAND = [sys.executable, "-m", "retempo.cli"]
TIMEOUT_S = 60.0


class Served:
    """A daemon of its own process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        self.feed: str = ready["feed"]
        self.decisions: str = ready["decisions"]

    def publish(self, *arguments: object) -> list[dict[str, object]]:
        """Publish from another process; returns its report, a line a stream."""
        command = [*COMMAND, "publish", *map(str, arguments), "--to", self.feed, "--json"]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def stop(self, kind: signal.Signals) -> tuple[int, bytes]:
        """Signal the daemon; returns its exit code and its log."""
        self.process.send_signal(kind)
        _, log = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, log


def finals(decisions: Decisions, streams: set[str]) -> dict[str, tuple[list[float], object]]:
    found: dict[str, tuple[list[float], object]] = {}
    while streams - found.keys():
        decision = decisions.receive(TIMEOUT_S)
        assert decision is not None, f"no final decision of {streams - found.keys()}"
        if decision.final:
            found[decision.stream] = (decision.scores, decision.counters)
    return found


def replayed(
    invoke: "Invoke", paths: list[Path], model: Path
) -> dict[str, tuple[list[float], object]]:
    options = ["--model", model, "--dt", "1ms", "--method", "lag", "--json"]
    lines = [json.loads(line) for line in invoke("replay", *paths, *options).out.splitlines()]
    return {line["recording"]: (line["scores"], line["counters"]) for line in lines}
