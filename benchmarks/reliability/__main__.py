"""Run the slow proofs, keep what each prints, and write the page.

    python -m benchmarks.reliability [PART...] [--quick]

`make soak` runs all of them, an hour and more; `--quick` looks whether they work. A part that fails
its own measure says so in the page and in the exit code.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.performance.results import machine

OUT = Path(__file__).resolve().parents[2] / "docs" / "results"
HEAD = """\
# Reliability

    make soak                                   # all of it
    python -m benchmarks.reliability PART       # one part; the others stay as they were

The slow proofs behind the [table of faults](../operations.md#faults): each part is a program that
prints its table and fails if what it promises does not hold. The quick ones are tests, in
`tests/faults`, and run with `make test`.
"""


class Proof(msgspec.Struct, frozen=True):
    """A program, what it is asked for, and what it is asked for to have a look."""

    title: str
    module: str
    whole: list[str] = []
    quick: list[str] = []


PROOFS = {
    "kill": Proof("kill -9", "benchmarks.kill_nine", quick=["--kills", "3"]),
    "loads": Proof(
        "Loads", "benchmarks.reliability.loads", ["--seconds", "600"], ["--seconds", "5"]
    ),
    "streams": Proof(
        "64 streams",
        "benchmarks.reliability.many_streams",
        ["--seconds", "600", "--span-ms", "4", "2", "1"],
        ["--seconds", "5", "--span-ms", "10"],
    ),
    "silence": Proof(
        "Ten minutes of silence", "benchmarks.reliability.silence", quick=["--seconds", "5"]
    ),
    "operations": Proof(
        "A storm, a noisy neighbour, SIGTERM under load",
        "benchmarks.soak_operations",
        quick=["--seconds", "2", "--repeats", "1"],
    ),
    "wire": Proof("Wire fuzz", "benchmarks.fuzz_wire", quick=["--frames", "5000"]),
    "models": Proof(
        "Model fuzz", "benchmarks.fuzz_models", quick=["--models", "50", "--live", "5"]
    ),
}


class Section(msgspec.Struct, frozen=True):
    """What a part printed, and whether it held."""

    text: str
    held: bool
    seconds: float
    machine: str


def main() -> int:
    """Run some proofs, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PROOFS))
    parser.add_argument("--quick", action="store_true", help="look whether they work")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PROOFS)
    if unknown:
        parser.error(f"unknown part {', '.join(unknown)}; known are {', '.join(PROOFS)}")
    held = True
    for name in arguments.parts or PROOFS:
        section = _run(PROOFS[name], quick=arguments.quick)
        held &= section.held
        print(f"{name}: {'held' if section.held else 'NOT HELD'}, {section.seconds:,.0f} s")
        _keep(arguments.out, name, section)
    return 0 if held else 1


def _run(proof: Proof, *, quick: bool) -> Section:
    began = time.monotonic()
    asked = proof.quick if quick else proof.whole
    done = subprocess.run(
        [sys.executable, "-m", proof.module, *asked], stdout=subprocess.PIPE, text=True, check=False
    )
    text = done.stdout.strip() or "It printed nothing."
    return Section(text, done.returncode == 0, time.monotonic() - began, machine())


def _keep(out: Path, name: str, section: Section) -> None:
    """Write the page anew with a section in the place of the older one."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "reliability.json"
    kept = msgspec.json.decode(path.read_bytes(), type=dict[str, Section]) if path.exists() else {}
    kept[name] = section
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    (out / "reliability.md").write_text(page_of(kept))


def page_of(sections: dict[str, Section]) -> str:
    """Return the page."""
    lines = [HEAD]
    for name, proof in PROOFS.items():
        if name not in sections:
            continue
        found = sections[name]
        asked = " ".join(["python -m", proof.module, *proof.whole])
        verdict = "Held." if found.held else "**Not held.**"
        lines += [f"## {proof.title}\n", f"    {asked}\n", verdict, "", found.text, ""]
        lines += [f"{found.machine}; {found.seconds:,.0f} s.\n"]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
