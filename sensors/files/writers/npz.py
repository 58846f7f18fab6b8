"""NPZ written: the arrays `t`, `x`, `y`, `on` or `t`, `channel`, and the sensor's size.

`t` is int64 in us, addresses uint16, `on` bool; `width`, `height` and `polarities`, or `channels`,
are single numbers. The members are not compressed, so that NumPy can read them at the disk's pace.
"""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry

_GRID: dict[str, Any] = {"t": np.int64, "x": np.uint16, "y": np.uint16, "on": np.bool_}
_CHANNELS: dict[str, Any] = {"t": np.int64, "channel": np.uint16}
_COPY_BYTES = 1 << 20
# The first moment that a zip archive can tell; equal events make equal files.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def write_npz(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write the columns one after the other; until then they lie in files beside the target."""
    grid = isinstance(geometry, GridGeometry)
    dtypes = _GRID if grid else _CHANNELS
    with TemporaryDirectory(prefix=".retempo-", dir=path.parent) as name:
        folder = Path(name)
        events = _spool(folder, list(dtypes), chunks)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for key, dtype in dtypes.items():
                with _member(archive, key) as member:
                    _write_head(member, np.dtype(dtype), (events,))
                    with (folder / key).open("rb") as column:
                        shutil.copyfileobj(column, member, _COPY_BYTES)
            for key in ("width", "height", "polarities") if grid else ("channels",):
                with _member(archive, key) as member:
                    np.lib.format.write_array(member, np.array(getattr(geometry, key), np.int64))


def _spool(folder: Path, keys: list[str], chunks: Iterator[EventChunk]) -> int:
    """Append every column to a file of its own; returns the number of events."""
    files = {key: (folder / key).open("wb") for key in keys}
    events = 0
    try:
        for chunk in chunks:
            for key, file in files.items():
                column = chunk.t_us if key == "t" else getattr(chunk, key)
                file.write(np.ascontiguousarray(column).data)
            events += len(chunk)
    finally:
        for file in files.values():
            file.close()
    return events


def _member(archive: zipfile.ZipFile, key: str) -> Any:
    entry = zipfile.ZipInfo(f"{key}.npy", _NO_DATE)
    return archive.open(entry, "w", force_zip64=True)


def _write_head(member: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        member, {"descr": descr, "fortran_order": False, "shape": shape}
    )
