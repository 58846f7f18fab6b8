"""What a part of the benchmark found, as plain data: the page and the guard are made from it."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

FILE = "performance.json"
PACKAGES = (
    "numpy", "numba", "onnxruntime", "torch", "snntorch", "norse", "spikingjelly", "tonic",
    "eventcv", "dv-processing", "faery", "evlib", "pyzmq",
)  # fmt: skip


class Ratio(msgspec.Struct, frozen=True):
    """How many times as fast as a named rival in the same run: the median, and the spread.

    `low` and `high` are the 10th and the 90th percentile over the rounds.
    """

    median: float
    low: float
    high: float
    target: float | None = None

    @property
    def met(self) -> bool:
        """Whether the median reaches the target; a ratio without one always does."""
        return self.target is None or self.median >= self.target


class Table(msgspec.Struct, frozen=True):
    """A table of the page."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Part(msgspec.Struct, frozen=True):
    """One part: how it was measured, and what came of it."""

    title: str
    text: str
    tables: list[Table]
    ratios: dict[str, Ratio]
    pictures: list[str] = []
    machine: str = ""
    seconds: float = 0.0


class Results(msgspec.Struct, frozen=True):
    """All parts that have been measured."""

    parts: dict[str, Part] = {}


def ratio_of(
    theirs: NDArray[np.float64], ours: NDArray[np.float64], target: float | None = None
) -> Ratio:
    """Return the ratio of two contestants timed in turn, round by round."""
    low, median, high = np.percentile(theirs / ours, (10, 50, 90)).tolist()
    return Ratio(median, low, high, target)


def spread(values: NDArray[np.float64], digits: int = 1) -> str:
    """Return a median with its 10th and 90th percentile, for a table."""
    low, median, high = np.percentile(values, (10, 50, 90))
    return f"{median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def load_results(folder: Path) -> Results:
    """Return what the parts of earlier runs have left there, nothing if none has run."""
    path = folder / FILE
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def save_results(folder: Path, results: Results) -> None:
    """Write the file that `load_results` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def merged(results: Results, parts: Mapping[str, Part], order: Sequence[str]) -> Results:
    """Return the results with new parts in the place of older ones, in an order."""
    known = {**results.parts, **parts}
    return Results({name: known[name] for name in order if name in known})


def machine() -> str:
    """Return where this is measured, and by which versions."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    cores = f"{len(names)} cores of {names[0]}" if names else platform.machine()
    return f"{cores}; Python {platform.python_version()}, {', '.join(found)}"
