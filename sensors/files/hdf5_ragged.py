"""One row of an HDF5 dataset of ragged rows, as of SHD, read from the file's global heap.

HDF5's own library follows whatever place a damaged file states, and crashes. A row is stored as a
u32 count, the u64 place of a collection and a u32 number of an object in it. A collection begins
with `GCOL`, a version and its u64 size; its objects have a u16 number (0 ends them), a u16 and four
unused bytes, a u64 size, and data padded to eight bytes.

Source: The HDF Group, HDF5 File Format Specification, III.E and VIII.
"""

import zlib
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError

_ROW = np.dtype([("count", "<u4"), ("place", "<u8"), ("object", "<u4")])
_HEAD_BYTES = 16
_DEFLATE, _SHUFFLE = 1, 2
_MOST_CHUNK_BYTES = 1 << 26


def read_ragged(path: Path, file: h5py.File, name: str, number: int) -> NDArray[Any]:
    """Return one row of a ragged dataset; its shape is `(values,)`.

    Raises:
        ValueError, OSError: the file is damaged.
        RecordingError: it is stored in a way that is not known here.
    """
    dataset = file[name]
    kind = dataset.id.get_type().get_super().dtype
    sizes = file.id.get_create_plist().get_sizes()
    if sizes != (8, 8) or kind.kind not in "iuf":
        raise RecordingError(f"{path} stores /{name} with places of {sizes} bytes, expected 8")
    with path.open("rb") as raw:
        row = np.frombuffer(_row_bytes(path, dataset, name, number, raw), _ROW)[0]
        size = int(row["count"]) * kind.itemsize
        if size == 0:
            return np.zeros(0, kind)
        place = int(row["place"]) + file.userblock_size
        return np.frombuffer(_object(raw, place, int(row["object"]), size), kind)


def _row_bytes(path: Path, dataset: h5py.Dataset, name: str, number: int, raw: IO[bytes]) -> bytes:
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        if start is None:
            raise RecordingError(f"{path} stores /{name} in its header, expected a block or chunks")
        return _exactly(raw, start + number * _ROW.itemsize, _ROW.itemsize)
    chunk = dataset.chunks[0]
    mask, data = dataset.id.read_direct_chunk((number // chunk * chunk,))
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(place)[0] for place in range(plist.get_nfilters())]
    for place, code in reversed(list(enumerate(filters))):
        # A set bit says that the filter was not applied.
        if mask >> place & 1:
            continue
        if code == _DEFLATE:
            data = zlib.decompressobj().decompress(data, _MOST_CHUNK_BYTES)
        elif code == _SHUFFLE:
            rows = len(data) // _ROW.itemsize
            planes = np.frombuffer(data, np.uint8, rows * _ROW.itemsize)
            data = planes.reshape(_ROW.itemsize, rows).T.tobytes()
        else:
            raise RecordingError(f"{path} stores /{name} with the filter {code}, expected gzip")
    start = number % chunk * _ROW.itemsize
    if len(data) < start + _ROW.itemsize:
        raise ValueError(f"the chunk of row {number} of /{name} ends early")
    return bytes(data[start : start + _ROW.itemsize])


def _object(raw: IO[bytes], place: int, wanted: int, size: int) -> bytes:
    head = _exactly(raw, place, _HEAD_BYTES)
    if head[:5] != b"GCOL\x01":
        raise ValueError(f"there is no heap at byte {place}")
    end = place + int.from_bytes(head[8:], "little")
    place += _HEAD_BYTES
    while place + _HEAD_BYTES <= end:
        head = _exactly(raw, place, _HEAD_BYTES)
        number, held = int.from_bytes(head[:2], "little"), int.from_bytes(head[8:], "little")
        if number == 0:
            break
        if number == wanted:
            if held < size or place + _HEAD_BYTES + size > end:
                raise ValueError(f"a row states {size} bytes and its heap holds {held}")
            return _exactly(raw, place + _HEAD_BYTES, size)
        place += _HEAD_BYTES + held + -held % 8
    raise ValueError(f"the heap has no object {wanted}")


def _exactly(raw: IO[bytes], place: int, size: int) -> bytes:
    if place >= 1 << 62 or raw.seek(0, 2) < place + size:
        raise ValueError(f"the file ends before byte {place + size}")
    raw.seek(place)
    return raw.read(size)
