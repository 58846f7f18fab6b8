"""MATLAB files of ST-MNIST kind: `spiketrain`, a row a taxel and a last one of times in seconds.

A column is a moment: 1 and -1 are on and off events of the taxels x = row % width, y = row // width
of a 10x10 sensor. Files of MATLAB 5 are read by `mat5`, since scipy's reader crashes on damaged
ones; those of 7.3 are HDF5.

Source: See et al., ST-MNIST, The Spiking Tactile MNIST Neuromorphic Dataset, arXiv 2005.04319.
"""

import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import Format, Opened, OpenRequest, listed, reason, whole
from retempo.sensors.files.hdf5_file import check_filters, opened_hdf5
from retempo.sensors.files.mat5 import Variable, read_columns, read_variables
from retempo.sensors.files.table_columns import Layout
from retempo.sensors.files.table_pieces import Raw, decode_raw
from retempo.sensors.geometry import GridGeometry

GEOMETRY = GridGeometry(10, 10)

_NAME = "spiketrain"
_SECONDS = Layout(("t", "x", "y", "on"), "s")
_VERSION_7_3 = b"MATLAB 7.3 MAT-file"
_VERSION_5 = b"MATLAB 5.0 MAT-file"
_PIECE_MOMENTS = 1 << 12


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith((_VERSION_5, _VERSION_7_3))


def _open(request: OpenRequest) -> Opened:
    whole(request)
    path, geometry = request.path, request.geometry or GEOMETRY
    if not isinstance(geometry, GridGeometry):
        raise RecordingError(
            f"{path} holds events of a pixel grid, the geometry given is {geometry}; "
            "give a GridGeometry or none"
        )
    packed = request.head.startswith(_VERSION_7_3)
    shapes = _shapes_7_3(path) if packed else _shapes_5(path)
    shape = shapes.get(_NAME)
    rows = geometry.width * geometry.height + 1
    if shape is None:
        held = listed(f"{name} {list(size)}" for name, size in shapes.items())
        raise RecordingError(
            f"{path} holds the variables {held or '(none)'}, expected {_NAME} with a row a taxel "
            "and one of times, as ST-MNIST has it"
        )
    if len(shape) != len(("rows", "moments")) or shape[0] != rows:
        raise RecordingError(
            f"{path} holds {_NAME} {list(shape)}, expected {rows} rows for a sensor of {geometry}: "
            "one a taxel and one of times; give its geometry"
        )
    read = partial(_moments_7_3 if packed else _moments_5, path)
    return Opened(geometry, partial(_decode, path, read, geometry), may_go_back=True)


def _decode(path: Path, read: Any, geometry: GridGeometry) -> Iterator[AnyColumns]:
    return decode_raw(path, lambda: (_raw(piece, geometry) for piece in read()), _SECONDS, None)


def _raw(moments: NDArray[Any], geometry: GridGeometry) -> Raw:
    """Return the events of moments of shape `(moments, taxels + 1)`, in the order of time."""
    spikes = moments[:, :-1]
    moment, taxel = np.nonzero(spikes)
    return {
        "t": moments[moment, -1],
        "x": taxel % geometry.width,
        "y": taxel // geometry.width,
        "on": spikes[moment, taxel],
    }


def _shapes_5(path: Path) -> dict[str, tuple[int, ...]]:
    found = _variables(path)
    if _NAME in found and found[_NAME].dtype is None and all(found[_NAME].shape):
        raise RecordingError(f"{path} holds a {_NAME} that is no real matrix, expected numbers")
    return {name: variable.shape for name, variable in found.items()}


def _moments_5(path: Path) -> Iterator[NDArray[Any]]:
    return read_columns(path, _variables(path)[_NAME], _PIECE_MOMENTS)


def _variables(path: Path) -> dict[str, Variable]:
    try:
        return {variable.name: variable for variable in read_variables(path)}
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, zlib.error) as error:
        raise RecordingError(
            f"{path} is no readable MATLAB file: {reason(error)}; copy it again"
        ) from error


def _shapes_7_3(path: Path) -> dict[str, tuple[int, ...]]:
    with opened_hdf5(path) as file:
        found = {
            name: tuple(reversed(item.shape or ()))
            for name, item in file.items()
            if isinstance(item, h5py.Dataset)
        }
        if _NAME in found:
            check_filters(path, file[_NAME])
            if file[_NAME].dtype.kind not in "biuf":
                raise RecordingError(f"{path} holds {_NAME} of {file[_NAME].dtype}, not numbers")
    return found


def _moments_7_3(path: Path) -> Iterator[NDArray[Any]]:
    with h5py.File(path, "r", locking=False) as file:
        table = file[_NAME]
        for start in range(0, len(table), _PIECE_MOMENTS):
            yield table[start : start + _PIECE_MOMENTS]


FORMAT = Format("MATLAB", (".mat",), _sniff, _open)
