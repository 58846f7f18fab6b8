"""An HDF5 file opened to be read, its filters, and the sensor that its attributes state."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.ecf import FILTER as ECF
from retempo.sensors.files.format import reason
from retempo.sensors.files.table_geometry import size_of
from retempo.sensors.geometry import ChannelGeometry, Geometry

_CACHE_BYTES = 1 << 24
_SIZE = re.compile(r"^\s*(\d{1,6})\s*[xX]\s*(\d{1,6})\s*$", re.ASCII)
# What h5py raises where a file breaks its format.
HDF5_ERRORS = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    IndexError,
    MemoryError,
    SystemError,
)


@contextmanager
def opened_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to be read.

    Raises:
        RecordingError: it is gone, or what is done with it within breaks its format.
    """
    try:
        # Many a recording lies where no lock can be taken.
        with h5py.File(path, "r", locking=False, rdcc_nbytes=_CACHE_BYTES) as file:
            yield file
    except (FileNotFoundError, PermissionError) as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from error
    except HDF5_ERRORS as error:
        raise RecordingError(
            f"{path} is no readable HDF5 file: {reason(error)}; copy it again"
        ) from error


def check_filters(path: Path, dataset: h5py.Dataset) -> bool:
    """Return whether a dataset is compressed with ECF, which is decoded here.

    Raises:
        RecordingError: it is compressed with a filter that is not there.
    """
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(place)[0] for place in range(plist.get_nfilters())]
    if filters == [ECF]:
        return True
    missing = [code for code in filters if not h5py.h5z.filter_avail(code)]
    if missing:
        # Its import registers its filters.
        with suppress(ImportError):
            import_module("hdf5plugin")
        missing = [code for code in missing if not h5py.h5z.filter_avail(code)]
    if missing:
        raise RecordingError(
            f"{path} is compressed with the HDF5 filter {missing[0]}, which needs hdf5plugin or a "
            "plugin of its own; pip install 'retempo[hdf5]'"
        )
    return False


def stated_geometry(file: h5py.File, name: str) -> Geometry | None:
    """Return the sensor that the attributes of a table, or of a group above it, state.

    `width`, `height` and `polarities`, `channels`, or `geometry` as in `1280x720`.
    """
    places = [file]
    for step in filter(None, name.split("/")):
        places.append(places[-1][step])
    for place in reversed(places):
        attributes: Any = place.attrs
        channels = _number(attributes.get("channels"))
        if channels is not None:
            return ChannelGeometry(channels)
        names = ("width", "height", "polarities")
        grid = size_of(*(_number(attributes.get(name)) for name in names))
        text = attributes.get("geometry")
        plain = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        size = _SIZE.match(plain)
        grid = grid or (size_of(size[1], size[2]) if size else None)
        if grid is not None:
            return grid
    return None


def _number(value: Any) -> int | None:
    number = np.asarray(value) if value is not None else np.zeros(0)
    return int(number.ravel()[0]) if number.size == 1 and number.dtype.kind in "iu" else None
