"""Mutated models against the daemon: each steps finitely or is refused by name; none takes it down.

    python -m benchmarks.fuzz_models --models 3000 --live 60

Every model goes through the trial that a daemon gives it, in child processes that go on to the next
model (`--children`); a child that dies is what the daemon would have named a crash. One in so many
that `--live` of them are spread over all goes to a running daemon by hot swap, which streams events
and decides all the while and at the end. A model is a number: `--only N` examines one alone. The
report is Markdown on the standard output; the exit code is 1 where anything is wrong.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.fuzzing.live_swaps import Live, swap_all
from benchmarks.fuzzing.models import MUTATIONS, damaged
from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.runtime.errors import ModelError
from retempo.runtime.trial import KINDS, TrialSettings, examine, limit, prepare
from tests.builders import make_network

_ACCEPTED = "accepted"
_WRONG = "not named"
_BATCH = 50
SETTINGS = TrialSettings(name="fuzzed.onnx", engine="sparse", time_s=600.0)


def seeds() -> list[bytes]:
    """Return whole models of several neurons, small enough to be damaged anywhere."""
    networks = [
        make_network(neuron, (4, 3), GridSpec(3, 2, 2), labels=3, seed=k, stable=True)
        for k, neuron in enumerate(("radlif", "lif", "adlif"))
    ]
    return [
        bytes(build_step(net, resolve(net.spec, dt_us, method)).SerializeToString())
        for net in networks
        for dt_us, method in ((1_000, "lag"), (10_000, "integral"))
    ]


def verdict(content: bytes) -> tuple[str, str]:
    """Return what becomes of a model, and why."""
    try:
        examine(content, SETTINGS)
    except ModelError as error:
        whole = error.kind in KINDS and "\n" not in str(error) and str(error)
        return (error.kind if whole else _WRONG), str(error)
    return _ACCEPTED, ""


def batch(numbers: list[int], base: int) -> list[tuple[int, str, str, str]]:
    """Examine some models in a child."""
    whole = seeds()
    found = []
    for number in numbers:
        model = damaged(number, whole, base)
        found.append((number, model.kind, *verdict(model.content)))
    return found


def begin() -> None:
    np.seterr(all="ignore")
    prepare()
    limit(SETTINGS)


def run_all(count: int, base: int, children: int) -> list[tuple[int, str, str, str]]:
    """Examine models in children; one that takes its child down is found alone."""
    parts = [list(range(k, min(k + _BATCH, count))) for k in range(0, count, _BATCH)]
    found: list[tuple[int, str, str, str]] = []
    while parts:
        # One at a time from the second round on: so it is known which of them it was.
        failed = []
        with ProcessPoolExecutor(children, get_context("spawn"), begin) as pool:
            jobs = {pool.submit(batch, part, base): part for part in parts}
            for job in as_completed(jobs):
                part = jobs[job]
                try:
                    found += job.result()
                except BrokenProcessPool:
                    failed.append(part)
        if all(len(part) == 1 for part in failed) and len(failed) == len(parts):
            whole = seeds()
            for (number,) in failed:
                found.append((number, damaged(number, whole, base).kind, "crash", "child died"))
            break
        parts = [[number] for part in failed for number in part]
    return sorted(found)


def report(found: list[tuple[int, str, str, str]], live: Live, seconds: float) -> str:
    outcomes = [_ACCEPTED, *KINDS, _WRONG]
    table = Counter((kind, outcome) for _, kind, outcome, _ in found)
    shown = [o for o in outcomes if any(table[kind, o] for kind in MUTATIONS)]
    lines = [
        f"{len(found):,} mutated models in {seconds:.0f} s.",
        "",
        "| mutation | models | " + " | ".join(shown) + " |",
        "|---|---:|" + "---:|" * len(shown),
    ]
    for kind in MUTATIONS:
        row = [table[kind, outcome] for outcome in shown]
        lines.append(f"| {kind} | {sum(row)} | " + " | ".join(map(str, row)) + " |")
    total = [sum(table[kind, outcome] for kind in MUTATIONS) for outcome in shown]
    lines.append(f"| **all** | {sum(total)} | " + " | ".join(map(str, total)) + " |")
    swapped = (
        f"By hot swap into a running daemon: {live.swaps} models, {live.accepted} accepted, "
        f"{live.refused} refused by name, {live.unnamed} otherwise. Meanwhile it decided "
        f"{live.decisions:,} bins of {live.events:,} events, none lost; exit code {live.code}."
    )
    return "\n".join([*lines, "", swapped])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=3_000)
    parser.add_argument("--live", type=int, default=60)
    parser.add_argument("--base", type=int, default=0)
    parser.add_argument("--children", type=int, default=1)
    parser.add_argument("--only", type=int)
    given = parser.parse_args()
    whole = seeds()
    if given.only is not None:
        model = damaged(given.only, whole, given.base)
        print(model.kind, *verdict(model.content), sep=": ")
        return 0
    began = time.monotonic()
    found = run_all(given.models, given.base, given.children)
    every = max(1, given.models // max(1, given.live))
    sample = [damaged(n, whole, given.base) for n in range(0, given.models, every)][: given.live]
    with tempfile.TemporaryDirectory() as folder:
        live = swap_all(Path(folder), whole[0], [model.content for model in sample])
    print(report(found, live, time.monotonic() - began))
    wrong = [each for each in found if each[2] == _WRONG]
    for number, kind, _, why in wrong:
        print(f"- {number}: {kind}: {why}", file=sys.stderr)
    return int(bool(wrong) or len(found) != given.models or not live.well)


if __name__ == "__main__":
    sys.exit(main())
