"""EVT decoding and fused binning against `evt3` and `faery`, and the memory that both take.

    python -m benchmarks.decoding [--events 50000000] [--rounds 7] [--out docs/results]

The rivals are no part of Retempo: install it with `evt3` into an environment of its own (`faery` is
there already), and run it there. Needs the recordings in ../shared/data.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.decoding.contestants import TASKS
from benchmarks.decoding.repeated import repeat
from benchmarks.decoding.report import Memory, Row, write_report

_RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "recordings"


def main() -> None:
    """Measure all tasks and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding")
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--recordings", type=Path, default=_RECORDINGS)
    parser.add_argument("--peak-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        task, name, path = arguments.peak_of
        TASKS[task][1][name](Path(path))
        print(_peak_mib())
        return
    rows: list[Row] = []
    memory: list[Memory] = []
    with tempfile.TemporaryDirectory() as folder:
        for version in ("evt3.raw", "evt2.raw"):
            source = arguments.recordings / version
            long = repeat(source, arguments.events, Path(folder))
            short = repeat(source, arguments.events // 10, Path(folder))
            for task, (recording, _) in TASKS.items():
                if recording == version:
                    rows += _measure(task, long, arguments.rounds)
                    memory += _peaks(task, short, long)
            long.unlink()
            short.unlink()
    write_report(arguments.out, rows, memory, arguments.events, arguments.rounds)


def _measure(task: str, path: Path, rounds: int) -> list[Row]:
    """Time all contestants in turn, round by round; the first call of each is not counted."""
    runs = TASKS[task][1]
    events = {name: run(path) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            run(path)
            seconds[name].append(time.process_time() - began)
    ours = np.array(seconds[next(iter(runs))])
    rows = []
    for name, taken in seconds.items():
        rates = events[name] / np.array(taken) / 1e6
        ratios = np.array(taken) / ours
        rows.append(Row(task, name, events[name], rates, ratios))
        print(f"{task}: {name}: {np.median(rates):.0f} Mev/s, {np.median(ratios):.2f}", flush=True)
    return rows


def _peak_mib() -> int:
    """The peak of this program alone: `ru_maxrss` would hold that of the process that began it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def _peaks(task: str, short: Path, long: Path) -> list[Memory]:
    """Peak memory of each contestant in a process of its own."""
    peaks = []
    for name in TASKS[task][1]:
        command = [sys.executable, "-m", "benchmarks.decoding", "--peak-of", task, name]
        both = [
            int(subprocess.run([*command, path], check=True, capture_output=True).stdout)
            for path in (short, long)
        ]
        peaks.append(Memory(task, name, *both))
    return peaks


if __name__ == "__main__":
    main()
