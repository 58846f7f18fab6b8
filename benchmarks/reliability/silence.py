"""Ten minutes of real silence: every bin is stepped, in time, and none takes longer than the first.

    python -m benchmarks.reliability.silence [--seconds 600]

A sender plays a recording, then only says that time passes, every 5 ms by the host's clock. Prints
Markdown.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.performance.processes import daemon, memory_mib, scratch
from retempo.demo.assets import MODEL, load_recordings
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events

GRID = GridGeometry(34, 34)
_BEAT_US = 5_000


class _Quiet:
    """A recording, and then silence."""

    name = "quiet"
    geometry = GRID

    def __init__(self, seconds: float) -> None:
        self._events = load_recordings()[0].events
        self._until_us = self._events.t_end_us + int(seconds * 1e6)

    def __iter__(self) -> Iterator[EventChunk]:
        yield self._events
        beats = range(self._events.t_end_us + _BEAT_US, self._until_us + 1, _BEAT_US)
        yield from (no_events(GRID, t_us) for t_us in beats)


def main() -> int:
    """Be silent, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.silence")
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_measured, ("sparse", "onnx"), [arguments.seconds] * 2))
    rows, held = [row for row, _ in found], all(good for _, good in found)
    print(
        "A recording, then silence in real time, told every 5 ms; the demonstration's network at "
        "1 ms, a daemon for each engine at the same time. Step times are medians over the "
        "decisions (one each 10 ms) of the first and of the last tenth."
    )
    print(
        "\n| engine | s | bins stepped | gaps | step at first, us | at last, us | latency p99, ms "
        "| growth, MiB | flat |\n|" + "---|" * 9
    )
    print("\n".join(rows))
    return 0 if held else 1


def _measured(engine: str, seconds: float) -> tuple[str, bool]:
    lines = [f'model = "{MODEL}"\ndt = "1ms"', 'every = "10ms"', "[engine]", f'name = "{engine}"']
    steps_us: list[float] = []
    latencies_us: list[float] = []
    with scratch() as folder, daemon(folder, lines) as served:
        source = _Quiet(seconds)
        sender = threading.Thread(
            target=publish, args=(source, served.feed), kwargs={"speed": 1.0}, daemon=True
        )
        with Decisions(served.decisions, timeout_s=30.0) as decisions:
            sender.start()
            time.sleep(1.0)
            before_mib, counters = memory_mib(served.process.pid), {}
            for decision in decisions:
                steps_us.append(decision.step_us)
                latencies_us.append(decision.latency_us)
                counters = decision.counters
                if decision.final:
                    break
        growth = memory_mib(served.process.pid) - before_mib
        sender.join(30.0)
    tenth = len(steps_us) // 10
    first, last = np.median(steps_us[tenth // 10 : tenth]), np.median(steps_us[-tenth:])
    flat = bool(last < 1.5 * first and counters["gaps"] == 0)
    return (
        f"| {engine} | {seconds:.0f} | {counters['steps']:,} | {counters['gaps']} | {first:.1f} "
        f"| {last:.1f} | {np.percentile(latencies_us, 99) / 1e3:.2f} | {growth:+.1f} "
        f"| {'yes' if flat else 'no'} |"
    ), flat


if __name__ == "__main__":
    sys.exit(main())
