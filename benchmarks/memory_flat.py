"""Peak memory of `retempo info` on a large recording against a small one, format by format.

    python -m benchmarks.memory_flat [--megabytes 300 | --gigabytes 10] [--formats EVT3 DAT]
        [--data-root FOLDER] [--folder SCRATCH]

Formats come from the registry. A format that can be written gets a recording of random events whose
times go on; one that is only read gets a real recording whose body is repeated, or a maker of its
own below. Each is read by `retempo info` in a process of its own, whose peak is VmHWM, the most
memory that it ever held, of which Python and the packages are the larger part.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import FORMATS, open_recording
from retempo.sensors.files.format import Format
from retempo.sensors.files.nmnist import encode_nmnist
from retempo.sensors.files.percent_header import read_percent_header
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

TARGET_MB = 200
SMALL_EVENTS = 100_000
CHUNK_EVENTS = 65_536
SPAN_US = 65_536
GEOMETRIES: tuple[Geometry, ...] = (
    GridGeometry(640, 480),
    GridGeometry(34, 34),
    ChannelGeometry(64),
)
ES_HEADER_BYTES = 20
# Text, and sound that must be heard first, get a tenth of the size.
SLOW, SLOW_SHARE = ("CSV", "Sound"), 0.1

Writer = Callable[[Path, int], None]

# What is measured: the very command, and then the most memory that the process ever held.
PROGRAM = """
import sys
from retempo.cli.app import run
code = run(["info", sys.argv[1], *sys.argv[2:]])
status = open("/proc/self/status").read()
print("VmHWM", status.split("VmHWM:")[1].split()[0])
sys.exit(code)
"""


PAGE = """\
# Memory does not grow with the file

    python -m benchmarks.memory_flat      # --gigabytes 10 for as much; --formats EVT3

The most memory (VmHWM, in MiB) that a process of `retempo info` ever held, on a recording of about
{size:,.0f} MB ({slow:,.0f} MB of CSV and sound) against one of {events:,} events, or the real
recording that is repeated. What the small one takes is Python, NumPy, Numba and the decoders' own
packages. The rate is of the events that the large one has more, in the time that it takes longer;
other work may have run beside it. The aim is a growth below {target} MiB.
Python {python}, numpy {numpy}, {cores} cores, {machine}.

| format | file, MB | events, millions | small, MiB | large, MiB | growth, MiB | Mev/s |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Reading:
    """One run of `retempo info`."""

    peak_mb: float
    seconds: float
    events: int


def chunks_of(events: int, geometry: Geometry) -> Iterator[EventChunk]:
    """Random events over a sensor, a million a second; a chunk drawn once comes again and again."""
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(0, SPAN_US, CHUNK_EVENTS)).astype(np.int64)
    on = rng.random(CHUNK_EVENTS) < 0.5
    grid = isinstance(geometry, GridGeometry)
    if isinstance(geometry, GridGeometry):
        x = rng.integers(0, geometry.width, CHUNK_EVENTS).astype(np.uint16)
        y = rng.integers(0, geometry.height, CHUNK_EVENTS).astype(np.uint16)
    else:
        x = y = rng.integers(0, geometry.channels, CHUNK_EVENTS).astype(np.uint16)
    for sequence, begin in enumerate(range(0, events, CHUNK_EVENTS)):
        part = slice(0, min(CHUNK_EVENTS, events - begin))
        times = t_us[part] + sequence * SPAN_US
        yield EventChunk(
            times,
            int(times[-1]),
            x=x[part] if grid else None,
            y=y[part] if grid else None,
            on=on[part] if grid else None,
            channel=None if grid else x[part],
            sequence=sequence,
        )


def written(known: Format) -> Writer | None:
    """By the format's own writer, to the first of the geometries that it can hold."""
    write = known.write
    if write is None:
        return None

    def make(path: Path, events: int) -> None:
        for geometry in GEOMETRIES:
            try:
                write(path, geometry, chunks_of(events, geometry))
            except SensorError:
                if geometry is GEOMETRIES[-1]:
                    raise
            else:
                return

    return make


def repeated(known: Format, data_root: Path) -> Writer | None:
    """By repeating the body of a real recording; its times begin again with each."""
    for path in sorted([*(data_root / "recordings").glob("*"), *(data_root / "cochlea").glob("*")]):
        try:
            if open_recording(path, policy="skip").format != known.name:
                continue
        except SensorError:
            continue
        whole = path.read_bytes()
        size = header_bytes(whole)
        # A container keeps tables of where its parts lie: those cannot be repeated.
        if size is None:
            continue
        header, body = whole[:size], whole[size:]
        events = sum(len(chunk) for chunk in open_recording(path, policy="skip"))

        def make(to: Path, wanted: int, header: bytes = header, body: bytes = body) -> None:
            with to.open("wb") as file:
                file.write(header)
                for _ in range(max(1, round(wanted / events))):  # noqa: B023
                    file.write(body)

        return make
    return None


def header_bytes(whole: bytes) -> int | None:
    """How long the header of a plain stream of events is, None for a container."""
    if whole.startswith(b"%"):
        size = read_percent_header(whole[:65_536]).size
        # DAT: the type and the size of an event.
        return size + 2 if b"Data file containing" in whole[:size] else size
    if whole.startswith(b"Event Stream"):
        return ES_HEADER_BYTES
    if whole.startswith(b"#!AER-DAT2"):
        return max(match.end() for match in re.finditer(rb"(?m)^#.*\n", whole[:65_536]))
    return None


def make_nmnist(path: Path, events: int) -> None:
    with path.open("wb") as file:
        for chunk in chunks_of(events, GridGeometry(34, 34)):
            t_us = chunk.t_us % (1 << 23)
            file.write(encode_nmnist(EventChunk(t_us, 0, x=chunk.x, y=chunk.y, on=chunk.on)))


def make_numpy(path: Path, events: int) -> None:
    table = open_memmap(path, "w+", np.uint64, (events, 4))
    begin = 0
    for chunk in chunks_of(events, GridGeometry(35, 35)):
        rows = table[begin : begin + len(chunk)]
        for place, column in enumerate((chunk.t_us, chunk.x, chunk.y, chunk.on)):
            rows[:, place] = column
        begin += len(chunk)
    table.flush()


def make_sound(path: Path, events: int) -> None:
    """Noise, of which the default cochlea makes about a spike a sample."""
    import soundfile

    rng = np.random.default_rng(0)
    noise = (0.2 * rng.standard_normal(16_000)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 16_000, 1, format="RF64", subtype="PCM_16") as file:
        for _ in range(max(1, events // len(noise))):
            file.write(noise)


MAKERS: dict[str, Writer] = {
    "N-MNIST": make_nmnist,
    "NumPy": make_numpy,
    "Sound": make_sound,
}


def maker_of(known: Format, data_root: Path) -> Writer | None:
    """By a maker of its own, the format's writer, or a real recording; None where there is none."""
    return MAKERS.get(known.name) or written(known) or repeated(known, data_root)


def read(path: Path) -> Reading:
    """Run `retempo info` on a recording.

    Raises:
        RuntimeError: the command failed.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    peak = re.search(r"VmHWM (\d+)", done.stdout)
    events = re.search(r"^events +([\d,]+)", done.stdout, re.MULTILINE)
    if done.returncode or peak is None or events is None:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "it was ended")
    return Reading(int(peak[1]) / 1024, seconds, int(events[1].replace(",", "")))


def measure(known: Format, make: Writer, folder: Path, size: float) -> tuple[str, bool]:
    """A row of the table, a small recording against one of about `size` bytes; is it flat?"""
    path = folder / f"a{known.suffixes[0] if known.suffixes else ''}"
    try:
        make(path, SMALL_EVENTS)
        read(path)  # the first of all compiles the kernels
        small, small_bytes = read(path), path.stat().st_size
        share = SLOW_SHARE if known.name in SLOW else 1.0
        make(path, max(SMALL_EVENTS, round(small.events * share * size / small_bytes)))
        large, large_bytes = read(path), path.stat().st_size
    except (SensorError, RuntimeError) as error:
        why = str(error).replace(str(folder), "")[:80]
        return f"| {known.name} | failed: {why} | | | | | |", False
    finally:
        path.unlink(missing_ok=True)
    growth = large.peak_mb - small.peak_mb
    rate = (large.events - small.events) / 1e6 / (large.seconds - small.seconds)
    row = (
        f"| {known.name} | {large_bytes / 1e6:,.0f} | {large.events / 1e6:,.1f} "
        f"| {small.peak_mb:,.0f} | {large.peak_mb:,.0f} | {growth:,.0f} "
        f"| {rate:,.1f} |"
    )
    return row, growth < TARGET_MB


def main() -> None:
    """Measure the formats and print a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=300.0)
    parser.add_argument("--gigabytes", type=float)
    parser.add_argument("--formats", nargs="*")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, help="Where large files may lie for a while.")
    arguments = parser.parse_args()
    size = arguments.gigabytes * 1e9 if arguments.gigabytes else arguments.megabytes * 1e6
    page = PAGE.format(
        size=size / 1e6,
        slow=size * SLOW_SHARE / 1e6,
        events=SMALL_EVENTS,
        target=TARGET_MB,
        python=platform.python_version(),
        numpy=np.__version__,
        cores=os.cpu_count(),
        machine=platform.machine(),
    )
    print(page, flush=True)
    left_out, missed = [], []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for known in FORMATS:
            if arguments.formats and known.name not in arguments.formats:
                continue
            make = maker_of(known, arguments.data_root)
            if make is None:
                left_out.append(known.name)
            else:
                row, flat = measure(known, make, Path(name), size)
                print(row, flush=True)
                missed += [] if flat else [known.name]
    if missed:
        print(f"\nBeyond the aim: {', '.join(missed)}.")
    if left_out:
        print(f"\nNot measured, since nothing here writes or repeats them: {', '.join(left_out)}.")


if __name__ == "__main__":
    main()
