"""HDF5 written: a group `events` of columns that grow.

`events/t` int64 in us, `x` and `y` uint16, `p` uint8 (1 on, 0 off), or `t` and `channel`; the group
has the attributes `width`, `height` and `polarities`, or `channels`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import h5py
import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry, GridGeometry

_GRID: dict[str, Any] = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}
_CHANNELS: dict[str, Any] = {"t": np.int64, "channel": np.uint16}
_FIELDS = {"t": "t_us", "p": "on"}
_CHUNK_EVENTS = 65_536


def write_hdf5(path: Path, geometry: Geometry, chunks: Iterator[EventChunk]) -> None:
    """Write the columns, cut into stored chunks of 65,536 events; shuffled and deflated."""
    grid = isinstance(geometry, GridGeometry)
    dtypes = _GRID if grid else _CHANNELS
    with path.open("w+b") as raw, _Patient(raw) as patient, h5py.File(patient, "w") as file:
        group = file.create_group("events")
        for key in ("width", "height", "polarities") if grid else ("channels",):
            group.attrs[key] = np.int64(getattr(geometry, key))
        columns = {key: _column(group, key, dtype) for key, dtype in dtypes.items()}
        events = 0
        for chunk in chunks:
            patient.check()
            for key, column in columns.items():
                column.resize(events + len(chunk), axis=0)
                # HDF5 has booleans of its own, which few others read.
                column[events:] = getattr(chunk, _FIELDS.get(key, key)).astype(column.dtype)
            events += len(chunk)


class _Patient:
    """A file for HDF5 that takes every write, and raises at the end what went wrong.

    HDF5 itself crashes where it cannot write while it closes a file, as on a full disk.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.flush()
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise what has gone wrong so far."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._try(lambda: self._file.write(data))
        return size

    def truncate(self, size: int) -> int:
        self._try(lambda: self._file.truncate(size))
        return size

    def flush(self) -> None:
        self._try(self._file.flush)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _try(self, act: Callable[[], object]) -> None:
        if self._error is not None:
            return
        try:
            act()
        except OSError as error:
            self._error = error


def _column(group: Any, key: str, dtype: Any) -> Any:
    # The lightest deflation takes a third of the space; the next ones take time for little more.
    return group.create_dataset(
        key,
        shape=(0,),
        maxshape=(None,),
        dtype=dtype,
        chunks=(_CHUNK_EVENTS,),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
