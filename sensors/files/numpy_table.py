"""NumPy tables as of POKER-DVS: a `.npy` of shape (events, 4), columns t_us, x, y, p."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import Format, Opened, of_grid, reason
from retempo.sensors.geometry import GridGeometry

GEOMETRY = GridGeometry(35, 35)

_LIMITS = {"t_us": 1 << 63, "x": 1 << 16, "y": 1 << 16, "p": 2}


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"\x93NUMPY")


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    del head
    _load(path)
    return Opened(geometry or GEOMETRY, partial(_decode, path), may_go_back=True)


def _load(path: Path) -> NDArray[np.uint64]:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordingError(
            f"{path} is no readable NumPy table: {reason(error)}; copy it again"
        ) from error
    if not isinstance(table, np.ndarray) or table.dtype != np.uint64 or table.shape[1:] != (4,):
        got = f"{table.dtype} {table.shape}" if isinstance(table, np.ndarray) else "an archive"
        raise RecordingError(
            f"{path} holds {got}, expected uint64 (events, 4) with the columns t_us, x, y, p"
        )
    return table


def _decode(path: Path) -> Iterator[Columns]:
    table = _load(path)
    for column, (name, limit) in enumerate(_LIMITS.items()):
        wrong = table[table[:, column] >= limit, column]
        if len(wrong):
            raise RecordingError(
                f"{path} holds {name} = {wrong[0]}, expected 0 to {limit - 1}; "
                "the columns must be t_us, x, y, p"
            )
    yield Columns(
        t_us=table[:, 0].astype(np.int64),
        x=table[:, 1].astype(np.uint16),
        y=table[:, 2].astype(np.uint16),
        on=table[:, 3].astype(np.bool_),
    )


FORMAT = Format("NumPy", (".npy",), _sniff, of_grid(_open))
