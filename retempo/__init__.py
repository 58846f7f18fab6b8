"""Run a trained spiking network on a live event sensor at the sensor's own time resolution."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["__version__"]

try:
    __version__ = version("retempo")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"

_missing = [
    room
    for room in ("sensors", "exporters", "runtime", "training")
    if not (Path(__file__).parent / room).is_dir()
]
if _missing:
    raise ImportError(
        f"retempo/{_missing[0]} is no folder: this clone has no symbolic links; run "
        "`git config core.symlinks true && git checkout -- retempo` (on Windows, use WSL)"
    )
