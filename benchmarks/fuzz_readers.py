"""Every reader against damaged recordings: no crash, no hang, no event outside its geometry.

    python -m benchmarks.fuzz_readers --inputs 1000000 --data-root ../shared/data

Small recordings of every registered format, made here, written by their own writers and cut from
real ones, are damaged at random and read under every policy (see `fuzzing.examine`). Readers run in
child processes with a limit on their memory and a watchdog. An input is a number: `--only N` runs
one alone. The report is Markdown on the standard output.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.examine import examine
from benchmarks.fuzzing.mutations import Input, input_of
from benchmarks.fuzzing.results import Results, Tally, report
from benchmarks.fuzzing.seeds import Seed, seeds

_BATCH = 100
_HANG_S = 20.0
_SLOW_S = 3.0
_MEMORY_BYTES = 1 << 30
# Sound is heard by a cochlea, which takes most of the time and reads no bytes.
_RARE = ("Sound",)
_RARITY = 10


@dataclass(frozen=True)
class Job:
    """What every child knows."""

    seeds: list[Seed]
    formats: list[str]
    base: int
    inputs: int
    children: int
    folder: Path


def run_one(job: Job, number: int, path: Path, tally: Tally) -> str:
    """Examine one input; return what is wrong, empty if nothing is."""
    given = input_of(number, job.base, job.seeds, job.formats)
    place = path.with_suffix(given.suffix)
    place.write_bytes(given.data)
    began = time.perf_counter()
    text = ""
    try:
        outcome = examine(place, given)
        tally.refused += not outcome.format
        tally.troubled += bool(outcome.problems)
        tally.events += outcome.events
    except (KeyboardInterrupt, SystemExit):
        raise
    # Rust panics are no Exceptions.
    except BaseException as error:  # noqa: BLE001  (whatever leaves a reader is a finding)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:120].replace(str(place), "FILE")
        text = f"{type(error).__name__}: {said} ({Path(frame.filename).name}:{frame.lineno})"
    seconds = time.perf_counter() - began
    place.unlink()
    tally.inputs += 1
    tally.seconds += seconds
    tally.slowest = max(tally.slowest, seconds)
    return text or (f"slow: {seconds:.1f} s" if seconds > _SLOW_S else "")


def _limit_memory() -> None:
    if sys.platform != "linux":
        return
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_BYTES, -1))


def _peak_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(job: Job, start: int, progress: Any, pipe: Connection) -> None:
    """Examine every input from `start` on, in steps of the number of children."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ResourceWarning)
    path = job.folder / f"child{start % job.children}"
    # Kernels compile and packages load before memory is limited and time counts.
    for seed in job.seeds:
        place = path.with_suffix(seed.suffix)
        place.write_bytes(seed.data)
        examine(place, Input(seed, seed.suffix, seed.data, None, 64))
    _limit_memory()
    began_bytes = _peak_bytes()
    tallies: dict[str, Tally] = {}
    found: list[tuple[int, str, str]] = []
    for number in range(start, job.inputs, job.children):
        progress[0], progress[1] = number, time.monotonic()
        name = job.formats[number % len(job.formats)]
        text = run_one(job, number, path, tallies.setdefault(name, Tally()))
        if text:
            found.append((number, name, text))
        if found or (number // job.children) % _BATCH == 0:
            pipe.send((tallies, found, _peak_bytes() - began_bytes))
            tallies, found = {}, []
    progress[0] = job.inputs
    pipe.send((tallies, found, _peak_bytes() - began_bytes))
    pipe.close()


def fuzz(job: Job) -> Results:
    """Run all inputs in children; one that crashes or hangs is replaced behind its input."""
    context = get_context("spawn")
    results = Results()

    def launch(start: int) -> tuple[Any, Any, Connection]:
        progress = context.Array("d", [start, time.monotonic() + 600], lock=False)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(job, start, progress, sender), daemon=True)
        process.start()
        sender.close()
        return process, progress, receiver

    running = [launch(start) for start in range(job.children)]
    told = time.monotonic()
    while running:
        for pipe in wait([each[2] for each in running], timeout=0.5):
            _receive(results, pipe)  # type: ignore[arg-type]
        for each in list(running):
            process, progress, pipe = each
            stalled = time.monotonic() - progress[1] > _HANG_S
            if process.is_alive() and not stalled:
                continue
            if stalled:
                process.kill()
            process.join()
            while pipe.poll() and _receive(results, pipe):
                pass
            running.remove(each)
            number = int(progress[0])
            if number < job.inputs:
                what = "hangs" if stalled else f"crashes with exit status {process.exitcode}"
                results.found(number, job.formats[number % len(job.formats)], what)
                running.append(launch(number + job.children))
        if time.monotonic() - told > 30:
            told = time.monotonic()
            done = sum(tally.inputs for tally in results.tallies.values())
            print(f"{done:,} inputs, {len(results.findings)} findings", file=sys.stderr, flush=True)
    return results


def _receive(results: Results, pipe: Connection) -> bool:
    try:
        tallies, found, grown = pipe.recv()
    except (EOFError, OSError):
        return False
    for name, tally in tallies.items():
        results.tallies.setdefault(name, Tally()).add(tally)
    for each in found:
        results.found(*each)
    results.grown_bytes = max(results.grown_bytes, grown)
    return True


def main() -> None:
    """Fuzz every reader and print the report; exit status 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--format", action="append", help="fuzz these formats alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="run one input here and show its traceback")
    options = parser.parse_args()
    every = seeds(options.data_root)
    formats = sorted(
        {seed.format for seed in every} & set(options.format or [s.format for s in every])
    )
    shared = Path("/dev/shm")  # noqa: S108  (a file system in memory, where there is one)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.is_dir() else None))
    job = Job(every, formats, options.seed, options.inputs, options.processes, folder)
    try:
        if options.only is not None:
            given = input_of(options.only, job.base, every, formats)
            path = folder / f"only{given.suffix}"
            path.write_bytes(given.data)
            print(
                given.seed.format,
                given.suffix,
                given.geometry,
                given.chunk_events,
                given.data[:400],
            )
            print(examine(path, given))
            return
        began = time.perf_counter()
        results = fuzz(job)
        command = "python -m benchmarks.fuzz_readers " + " ".join(sys.argv[1:])
        report(results, every, command, time.perf_counter() - began, job.children)
    finally:
        shutil.rmtree(folder)
    sys.exit(bool(results.findings))


if __name__ == "__main__":
    main()
