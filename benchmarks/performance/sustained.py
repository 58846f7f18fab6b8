"""A camera's flood through the publisher's protocol into the daemon's bins, for a minute."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.performance.flood import message_size
from benchmarks.performance.networks import random_network, setting_of
from benchmarks.performance.paces import load
from benchmarks.performance.processes import (
    cpu_s,
    daemon,
    finished,
    memory_mib,
    ready_role,
    scratch,
)
from benchmarks.performance.results import Part, Ratio, Table
from benchmarks.performance.search import highest
from retempo.exporters.description import GridSpec, InputSpec

TARGET_HZ = 50e6
SHORT_S, LONG_S = 6.0, 60.0
# The daemon keeps pace if its sender never was later than this.
LATEST_S = 0.25
FLAT_MIB = 16.0
_CORES = 2
TEXT = """\
Random events of a 640x480 sensor, sent in messages of up to 64 KiB over ZeroMQ ipc to
`retempo serve`, which downsamples them by 10 to 48x64x2, bins them by 1 ms and steps 2 x 128
recurrent neurons; both processes share {cores} cores. The sender's messages are made beforehand;
while it runs it moves their times on, keeps to the daemon's credit and to the rate. A rate is held
where every event sent was received and binned, none was late or lost, and the sender was never
more than {latest:.0f} ms behind its pace. Memory is the resident set of each process, daemon and
sender, and its growth from a quarter of the run to its end; it is flat below {flat:.0f} MiB. The
highest rate is found by doubling and bisection over runs of {short:.0f} s, to 5 %."""


class Sent(msgspec.Struct, frozen=True):
    """What the sender tells when it has ended."""

    sent: int
    seconds: float
    planned_s: float
    behind_s: float
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """One run at one rate."""

    rate_hz: float
    sent: Sent
    growth_mib: tuple[float, float]
    memory_mib: tuple[float, float]
    cores: tuple[float, float]

    @property
    def whole(self) -> bool:
        """Whether every event was received and binned."""
        c = self.sent.counters
        gone = sum(c[name] for name in ("late", "invalid", "masked", "shed", "lost"))
        return self.sent.sent == c["received"] == c["binned"] and not gone

    @property
    def held(self) -> bool:
        """Whether the rate was held without loss."""
        return self.whole and self.sent.behind_s < LATEST_S

    @property
    def flat(self) -> bool:
        """Whether neither process took more and more memory."""
        return max(self.growth_mib) < FLAT_MIB


def measure(folder: Path, _data: Path, *, quick: bool = False) -> Part:
    """Hold the target rate for a minute, then look for the highest; `quick` is for a look."""
    short_s, long_s = (2.0, 5.0) if quick else (SHORT_S, LONG_S)
    del folder
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:_CORES])
    try:
        with scratch() as scratched:
            lines = configuration(scratched)
            long = run(scratched, lines, TARGET_HZ, long_s)
            runs = [long]

            def holds(rate_hz: float) -> bool:
                runs.append(run(scratched, lines, rate_hz, short_s))
                return runs[-1].held

            best_hz = highest(holds, TARGET_HZ, 0.05) if long.whole else 0.0
    finally:
        os.sched_setaffinity(0, before)
    text = TEXT.format(
        cores=min(_CORES, len(before)), latest=LATEST_S * 1e3, short=short_s, flat=FLAT_MIB
    )
    best = Ratio(*[best_hz / TARGET_HZ] * 3, 1.0)
    title = (
        f"50 Mev/s for {long_s:.0f} s {'held' if long.held else 'not held'}, memory "
        f"{'flat' if long.flat else 'not flat'}; the highest rate held {best_hz / 1e6:.0f} Mev/s"
    )
    table = Table(title, _COLUMNS, [_row(each) for each in runs])
    return Part("Sustained", text, [table], {"highest rate held to 50 Mev/s": best})


_COLUMNS = [
    "Mev/s", "s", "sent", "received", "binned", "late, lost, shed", "behind, ms",
    "daemon, cores", "sender, cores", "MiB, both", "growth, MiB, both", "held",
]  # fmt: skip


def run(folder: Path, lines: list[str], rate_hz: float, seconds: float) -> Run:
    """Send at a rate for so long to a daemon of its own."""
    out = folder / "sent"
    held: list[tuple[float, float]] = []
    with (
        daemon(folder, lines) as served,
        ready_role("flood", served.feed, str(out), str(rate_hz), str(seconds)) as sender,
    ):
        pids = served.process.pid, sender.pid
        began_s, before = time.monotonic(), [cpu_s(pid) for pid in pids]
        spent = before
        while sender.poll() is None and time.monotonic() - began_s < 4.0 * seconds + 30.0:
            time.sleep(min(0.5, seconds / 20.0))
            try:
                held.append((memory_mib(pids[0]), memory_mib(pids[1])))
                spent = [cpu_s(pid) for pid in pids]
            except (OSError, IndexError, ValueError):
                break
            took_s = time.monotonic() - began_s
        finished(sender, 30.0)
    sent = msgspec.convert(load(out), Sent)
    memory = np.array([row for row in held if min(row) > 0.0])
    growth = memory[-1] - memory[len(memory) // 4]
    cores = (np.array(spent) - np.array(before)) / took_s
    count, span_us = message_size(rate_hz)
    return Run(
        rate_hz=count / span_us * 1e6,
        sent=sent,
        growth_mib=(float(growth[0]), float(growth[1])),
        memory_mib=(float(memory[-1][0]), float(memory[-1][1])),
        cores=(float(cores[0]), float(cores[1])),
    )


def configuration(folder: Path) -> list[str]:
    """Write a model for the flood into a folder; returns the lines of its deployment."""
    rng = np.random.default_rng(0)
    spec = InputSpec(GridSpec(640, 480, 2), downsample=10)
    x = rng.poisson(TARGET_HZ / 1e3 / spec.size, (600, 1, spec.size)).astype(np.float32)
    model = setting_of(random_network(spec, 128, 10), x, 0.05).model
    (folder / "model.onnx").write_bytes(model.content)
    return ['model = "model.onnx"', 'every = "20ms"']


def _row(run: Run) -> list[str]:
    c, sent = run.sent.counters, run.sent
    return [
        f"{run.rate_hz / 1e6:.1f}",
        f"{sent.planned_s:.0f}",
        f"{sent.sent:,}",
        f"{c['received']:,}",
        f"{c['binned']:,}",
        f"{c['late']:,}, {c['lost']:,}, {c['shed']:,}",
        f"{sent.behind_s * 1e3:,.0f}",
        *(f"{value:.2f}" for value in run.cores),
        f"{run.memory_mib[0]:.0f}, {run.memory_mib[1]:.0f}",
        f"{run.growth_mib[0]:+.1f}, {run.growth_mib[1]:+.1f}",
        "yes" if run.held else "no",
    ]
