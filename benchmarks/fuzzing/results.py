"""What the fuzzer's children found, and the report on it."""

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.fuzzing.seeds import Seed
from retempo.sensors.files import FORMATS


@dataclass
class Tally:
    """What became of the inputs of one format."""

    inputs: int = 0
    refused: int = 0
    troubled: int = 0
    events: int = 0
    seconds: float = 0.0
    slowest: float = 0.0

    def add(self, other: "Tally") -> None:
        self.inputs += other.inputs
        self.refused += other.refused
        self.troubled += other.troubled
        self.events += other.events
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)


@dataclass
class Results:
    """What the children told."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)
    grown_bytes: int = 0

    def found(self, number: int, name: str, text: str) -> None:
        key = f"{name}: {text}"
        self.findings[key] += 1
        self.examples.setdefault(key, number)


def report(
    results: Results,
    seeds: Sequence[Seed],
    command: str,
    seconds: float,
    processes: int,
) -> None:
    """Print what was found, format by format."""
    inputs = sum(tally.inputs for tally in results.tallies.values())
    without = sorted({known.name for known in FORMATS} - {seed.format for seed in seeds})
    print(f"# Readers against damaged recordings\n\n    {command}\n")
    print(
        f"{inputs:,} inputs in {seconds:.0f} s ({inputs / seconds:,.0f} a second in "
        f"{processes} processes),\n"
        "each opened and read under the policies skip, stop and raise. Refused: the reader raised\n"
        "its own error when opening. With problems: the reader counted some and kept the rest.\n"
        f"The processes grew by {results.grown_bytes / 1e6:.0f} MB at most.\n"
        f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}."
        + (f"\nFormats without a seed: {', '.join(without)}." if without else "")
        + "\n\n| format | seeds | inputs | a second | refused | with problems | events read "
        "| slowest, ms | findings |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, tally in sorted(results.tallies.items()):
        mine = sum(seed.format == name for seed in seeds)
        found = sum(n for key, n in results.findings.items() if key.startswith(f"{name}: "))
        print(
            f"| {name} | {mine} | {tally.inputs:,} | {tally.inputs / tally.seconds:,.0f} "
            f"| {tally.refused / tally.inputs:.0%} | {tally.troubled / tally.inputs:.0%} "
            f"| {tally.events:,} | {1e3 * tally.slowest:.0f} | {found} |"
        )
    if not results.findings:
        print("\nNo finding.")
        return
    print("\n## Findings\n")
    for key, count in results.findings.most_common():
        print(f"- {count} x {key}; the first is --only {results.examples[key]}")
