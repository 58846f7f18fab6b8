"""The processes of a measurement: started, told when they are ready, ended by their own ids."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READY = "ready"
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running `retempo serve`."""

    process: "subprocess.Popen[str]"
    feed: str
    decisions: str


def say_ready() -> None:
    """Tell whoever started this process that it may go on."""
    print(_READY, flush=True)


@contextmanager
def role(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Start `python -m benchmarks.performance.roles ...`, and end it if nobody else has."""
    command = [sys.executable, "-m", "benchmarks.performance.roles", *arguments]
    with _running(command) as process:
        yield process


@contextmanager
def ready_role(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """As `role`, one that has said that it is ready."""
    with role(*arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if line.strip() != _READY:
            raise RuntimeError(f"{' '.join(arguments[:1])} did not start: {line!r}")
        yield process


@contextmanager
def daemon(folder: Path, lines: Sequence[str]) -> Iterator[Daemon]:
    """Start `retempo serve` with a configuration, its two sockets in a folder.

    Args:
        folder: a scratch one.
        lines: of the configuration, but for the endpoints; tables come last.
    """
    config = folder / "serve.toml"
    tables = [
        "[feed]",
        f'bind = "ipc://{folder}/feed"',
        "window = 256",
        "[decisions]",
        f'bind = "ipc://{folder}/decisions"',
    ]
    config.write_text("\n".join([*lines[:1], *tables, *lines[1:]]) + "\n")
    command = [sys.executable, "-m", "retempo.cli", "serve", str(config)]
    with (folder / "serve.log").open("w") as log, _running(command, log) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the daemon did not start: {(folder / 'serve.log').read_text()}")
        ready = json.loads(line)
        yield Daemon(process, ready["feed"], ready["decisions"])


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder whose path is short enough for an ipc endpoint."""
    with tempfile.TemporaryDirectory(prefix="rb") as name:
        yield Path(name)


def finished(process: "subprocess.Popen[str]", timeout_s: float) -> None:
    """Wait until a process has ended well.

    Raises:
        RuntimeError: it failed, or goes on for too long.
    """
    name = " ".join(map(str, process.args))[:200]  # type: ignore[arg-type]
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{name} did not end within {timeout_s:g} s") from error
    if code != 0:
        raise RuntimeError(f"{name} ended with {code}")


def memory_mib(pid: int) -> float:
    """Return what a process holds in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KIB / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


@contextmanager
def _running(command: Sequence[str], errors: Any = None) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()
