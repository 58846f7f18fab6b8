"""Measure Retempo against rivals, write the page, or hold the ratios against the committed ones.

    python -m benchmarks.performance [PART...] [--quick] [--check]

The rivals are no part of Retempo: `make bench` makes an environment for them. Needs ../shared/data
for real recordings.
"""

import argparse
import importlib
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.performance.check import ALLOWANCE, missing, worse
from benchmarks.performance.page import page_of
from benchmarks.performance.results import (
    Part,
    load_results,
    machine,
    merged,
    save_results,
)

PARTS = ("steps", "binning", "decoding", "latency", "sustained", "streams", "elastic")
# Those whose ratios hold still enough, and are soon measured.
GUARDED = ("steps", "binning")
OUT = Path(__file__).resolve().parents[2] / "docs" / "results"
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def main() -> int:
    """Measure some parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="few rounds; for a look")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--data-root", type=Path, default=DATA)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    if not arguments.data_root.is_dir():
        parser.error(f"{arguments.data_root} is no folder; --data-root names that of nmnist")
    if arguments.check:
        return _check(arguments.parts or GUARDED, arguments.out, arguments.data_root)
    # An exception ends the processes that a part has started; a bare signal would leave them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in arguments.parts or PARTS:
        part = _measured(name, arguments.out, arguments.data_root, quick=arguments.quick)
        results = merged(load_results(arguments.out), {name: part}, PARTS)
        save_results(arguments.out, results)
        (arguments.out / "performance.md").write_text(page_of(results))
    return 0


def _measured(name: str, out: Path, data: Path, *, quick: bool) -> Part:
    module = importlib.import_module(f"benchmarks.performance.{name}")
    began = time.monotonic()
    part: Part = module.measure(out, data, quick=quick)
    seconds = time.monotonic() - began
    print(f"{name}: {seconds:,.0f} s", flush=True)
    for key, ratio in part.ratios.items():
        target = "" if ratio.target is None else f", target {ratio.target:g}"
        print(f"  {key}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}){target}")
    return msgspec.structs.replace(part, machine=machine(), seconds=seconds)


def _check(parts: tuple[str, ...] | list[str], committed: Path, data: Path) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        measured = {name: _measured(name, Path(scratch), data, quick=True).ratios for name in parts}
    known = load_results(committed)
    found = worse(known, measured)
    gone = missing(known, measured)
    for line in found:
        print(f"worse by more than {ALLOWANCE:.0%}: {line}", file=sys.stderr)
    for line in gone:
        print(f"no longer measured: {line}", file=sys.stderr)
    compared = sum(
        name in known.parts[part].ratios
        for part, ratios in measured.items()
        if part in known.parts
        for name in ratios
    )
    print(f"{compared} ratios compared with {committed / 'performance.json'}")
    if not compared:
        print("nothing to compare with; run make bench first", file=sys.stderr)
    return 1 if found or gone or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
