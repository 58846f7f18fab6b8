"""The command; see `python -m benchmarks.adaptation --help`."""

import argparse
import os
import signal
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from benchmarks.adaptation.estimate import Estimate
from benchmarks.adaptation.jobs import Train
from benchmarks.adaptation.progress import duration
from benchmarks.adaptation.report import write_report
from benchmarks.adaptation.run import run
from benchmarks.adaptation.settings import Places, config_of, open_split, placed
from benchmarks.adaptation.store import Store
from benchmarks.adaptation.studies import QUICK, STUDIES, USUAL
from benchmarks.adaptation.studies.study import Study, jobs_of

_EPILOG = """
Stop it at any time and start it again: what is done stays done. A changed preset or data set is
trained and tested anew. FOLDER holds a folder a data set: fsdd, nmnist (train and test), and for
the paper's own tables shd and nmnist-full, which tonic fetches.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run studies and write their pages; returns 1 where a job failed, 130 where stopped."""
    options = _parser().parse_args(arguments)
    names = options.studies or (QUICK if options.quick else USUAL)
    studies = [STUDIES[name] for name in names]
    runs = options.runs or Path("runs/adaptation-quick" if options.quick else "runs/adaptation")
    # A quick look never overwrites what is committed.
    out = options.out or (runs / "results" if options.quick else Path("docs/results"))
    places = Places(options.data_root, runs)
    if options.list:
        _list(studies, options.jobs, quick=options.quick)
        return 0
    failed: dict[str, str] = {}
    if not options.report:
        # Both stop the run, also one that a shell started in the background.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        plan = jobs_of(studies, quick=options.quick)
        _fetch([p.job for p in plan if isinstance(p.job, Train)], places)
        try:
            outcome = run(plan, Store(places), options.jobs)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return 130
        except BrokenProcessPool:
            print(
                "a worker was killed, perhaps for memory; the same command goes on from here, with "
                "--jobs 1 in less of it",
                file=sys.stderr,
            )
            return 1
        failed = outcome.failed
        print(f"{outcome.done} jobs done, {outcome.before} were done before, {len(failed)} failed")
    command = f"python -m benchmarks.adaptation --data-root FOLDER{' --quick' * options.quick}"
    for path in write_report(studies, places, out, command, quick=options.quick):
        print(f"wrote {path}")
    _tell(failed)
    return 1 if failed else 0


def _fetch(trains: list[Train], places: Places) -> None:
    """Download what may be downloaded, before workers would do so side by side."""
    for train in {train.data.name: train for train in trains}.values():
        if ("data.download", True) in train.data.changes:
            folder = places.folder_of(train.data)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            config = placed(config_of(train), train.data, places)
            for split in ("train", "test"):
                open_split(config, split)


def _tell(failed: dict[str, str]) -> None:
    """Print why jobs failed, a line a reason: one missing folder fails hundreds."""
    names: dict[str, list[str]] = {}
    for name, reason in failed.items():
        names.setdefault(reason, []).append(name)
    for reason, jobs in names.items():
        others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        print(f"failed: {jobs[0]}{others}: {reason}", file=sys.stderr)


def _list(studies: list[Study], workers: int, *, quick: bool) -> None:
    estimate = Estimate()
    for study in studies:
        plan = jobs_of([study], quick=quick)
        trains = sum(isinstance(planned.job, Train) for planned in plan)
        tests = len(plan) - trains
        total = duration(estimate.total_s(planned.job for planned in plan) / workers)
        print(f"{study.name}: {trains} networks, {tests} tests, roughly {total} on {workers} cores")
        print(f"    {study.question}")
    plan = jobs_of(studies, quick=quick)
    total = duration(estimate.total_s(planned.job for planned in plan) / workers)
    print(f"together: {len(plan)} jobs, those that studies share once, roughly {total}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adaptation",
        description="Accuracy at any time step by every method, from training to pages.",
        epilog=_EPILOG,
    )
    parser.add_argument("--data-root", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--study", "--data", dest="studies", nargs="+", choices=sorted(STUDIES), metavar="NAME",
        help=f"of {', '.join(STUDIES)}; unless named {', '.join(USUAL)}",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a look within ten minutes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--runs", type=Path, help="networks and results; runs/adaptation")
    parser.add_argument("--out", type=Path, help="pages; docs/results")
    parser.add_argument("--report", action="store_true", help="write the pages from what is there")
    parser.add_argument("--list", action="store_true", help="show what would be measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
