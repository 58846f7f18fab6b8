"""The loads to hold: 50 Mev/s for 10 minutes, 100 Mev/s for a second, with nothing lost.

    python -m benchmarks.reliability.loads [--seconds 600]

As the part `sustained` of `benchmarks.performance`, whose sender and daemon these are. Prints
Markdown.
"""

import argparse
import sys

from benchmarks.performance.processes import scratch
from benchmarks.performance.sustained import LATEST_S, Run, configuration, run

STEADY_HZ, BURST_HZ, BURST_S = 50e6, 100e6, 1.0


def main() -> int:
    """Send both, and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.loads")
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    print(
        "Random events of a 640x480 sensor over ZeroMQ ipc to `retempo serve`, downsampled by 10, "
        "binned by 1 ms, 2 x 128 neurons; sender and daemon share the machine. Held: every event "
        f"sent was received and binned, and the sender was never {LATEST_S * 1e3:.0f} ms behind."
    )
    print(
        "\n| Mev/s | s | sent | binned | lost, late, shed | behind, ms | daemon, cores "
        "| MiB, daemon | growth, MiB | held |\n|" + "---|" * 10
    )
    held = True
    with scratch() as folder:
        lines = configuration(folder)
        for rate_hz, seconds in ((STEADY_HZ, arguments.seconds), (BURST_HZ, BURST_S)):
            done = run(folder, lines, rate_hz, seconds)
            held &= done.held
            print(_row(done), flush=True)
    return 0 if held else 1


def _row(done: Run) -> str:
    c = done.sent.counters
    return (
        f"| {done.rate_hz / 1e6:.1f} | {done.sent.planned_s:.0f} | {done.sent.sent:,} "
        f"| {c['binned']:,} | {c['lost']:,}, {c['late']:,}, {c['shed']:,} "
        f"| {done.sent.behind_s * 1e3:,.0f} | {done.cores[0]:.2f} | {done.memory_mib[0]:.0f} "
        f"| {done.growth_mib[0]:+.1f} | {'yes' if done.held else 'no'} |"
    )


if __name__ == "__main__":
    sys.exit(main())
