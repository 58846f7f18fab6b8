"""EVT2 and EVT3 files written from chunks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import RecordingError
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.evt.clock import BITS_2, BITS_3, UNIT_2, UNIT_3
from retempo.sensors.evt.encoder import (
    HIGH,
    LOW,
    MOST_WORDS,
    Written,
    encode_evt2,
    encode_evt3,
    nothing_written,
    time_highs,
)
from retempo.sensors.geometry import Geometry, GridGeometry

WrittenVersion = Literal["2", "3"]

_MOST_SIDE = 2_048
# A longer silence is a wrong time; at EVT3's 4 words in 16.8 s a year takes 15 MB.
_LONGEST_SILENCE_US = 366 * 86_400 * 1_000_000
_ROOM_WORDS = 1 << 16


def write_evt(
    version: WrittenVersion, path: Path, geometry: Geometry, chunks: Iterator[EventChunk]
) -> None:
    """Write a file of EVT2 or EVT3.

    Times from a full turn of the clock on (EVT2: 4 h 46 min, EVT3: 16.8 s) begin at that turn: its
    start stands in the header as `t0`, as faery has it too; other readers see times without it.

    Raises:
        RecordingError: the sensor or an event does not fit the format, times go back, or the file
            cannot be written. What has been written so far is removed.
    """
    if not isinstance(geometry, GridGeometry) or max(geometry.width, geometry.height) > _MOST_SIDE:
        raise RecordingError(
            f"{path}: EVT{version} holds a grid of up to {_MOST_SIDE}x{_MOST_SIDE} pixels, the "
            f"sensor is {geometry}; crop or downsample it, or write another format"
        )
    try:
        with path.open("wb") as file:
            _write(version, path, geometry, chunks, file)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(
    version: WrittenVersion,
    path: Path,
    geometry: GridGeometry,
    chunks: Iterator[EventChunk],
    file: BinaryIO,
) -> None:
    turn_us = 1 << (BITS_3 + UNIT_3 if version == "3" else BITS_2 + UNIT_2)
    t0_us, last_us = None, 0
    written = nothing_written()
    out = np.empty(_ROOM_WORDS, "<u2" if version == "3" else "<u4")
    for chunk in chunks:
        if not len(chunk):
            continue
        if t0_us is None:
            last_us = int(chunk.t_us[0])
            t0_us = max(last_us, 0) // turn_us * turn_us
            file.write(_header(version, geometry, t0_us))
        _check(path, version, geometry, chunk, last_us)
        assert chunk.x is not None  # noqa: S101  (a grid's chunk)
        assert chunk.y is not None  # noqa: S101
        assert chunk.on is not None  # noqa: S101
        last_us = int(chunk.t_us[-1])
        t_us = chunk.t_us - t0_us if t0_us else chunk.t_us
        _encode(version, t_us, chunk.x, chunk.y, chunk.on, geometry.width, written, out, file)
    if t0_us is None:
        file.write(_header(version, geometry, 0))


def _header(version: WrittenVersion, geometry: GridGeometry, t0_us: int) -> bytes:
    width, height = geometry.width, geometry.height
    lines = [
        f"evt {version}.0",
        f"format EVT{version};height={height};width={width}",
        f"geometry {width}x{height}",
        *([f"t0 {t0_us}"] if t0_us else []),
        "end",
    ]
    return "".join(f"% {line}\n" for line in lines).encode()


def _encode(
    version: WrittenVersion,
    t_us: Times,
    x: Addresses,
    y: Addresses,
    on: Polarities,
    width: int,
    written: Written,
    out: NDArray[Any],
    file: BinaryIO,
) -> None:
    """Write the events; silences of more than one TIME_HIGH word are written here."""
    kernel = encode_evt3 if version == "3" else encode_evt2
    bits, unit = (BITS_3, UNIT_3) if version == "3" else (BITS_2, UNIT_2)
    prefix = 8 << (12 if version == "3" else 28)
    begin = 0
    while begin < len(t_us):
        begin, words = kernel(t_us, x, y, on, begin, width, written, out)
        file.write(out[:words].tobytes())
        if begin < len(t_us) and words + MOST_WORDS <= len(out):
            high = int(t_us[begin]) >> unit
            steps = np.array(time_highs(int(written[HIGH]), high, bits), out.dtype)
            file.write((steps | prefix).astype(out.dtype).tobytes())
            written[HIGH], written[LOW] = high, -1


def _check(
    path: Path, version: WrittenVersion, geometry: GridGeometry, chunk: EventChunk, last_us: int
) -> None:
    if chunk.x is None or chunk.y is None:
        raise RecordingError(f"{path}: EVT{version} holds events of pixels, got events of channels")
    steps_us = np.diff(chunk.t_us, prepend=last_us)
    if int(chunk.t_us.min()) < 0:
        raise RecordingError(
            f"{path}: EVT{version} holds no times before 0, got {int(chunk.t_us.min())} us; "
            "shift the times (--zero) or cut them (--from, --to)"
        )
    if int(steps_us.min()) < 0:
        at = int(steps_us.argmin())
        before = int(chunk.t_us[at]) - int(steps_us[at])
        raise RecordingError(
            f"{path}: EVT{version} holds events in the order of time, got {int(chunk.t_us[at])} us "
            f"after {before} us; sort them (--sort 10ms), or write NPZ or CSV, which take any order"
        )
    if int(steps_us.max()) > _LONGEST_SILENCE_US:
        days = int(steps_us.max()) // 86_400_000_000
        raise RecordingError(
            f"{path}: EVT{version} cannot tell a silence of {days} days; "
            "cut the recording, or write a format with whole times (npz, csv)"
        )
    outside = (chunk.x >= geometry.width) | (chunk.y >= geometry.height)
    if outside.any():
        at = int(outside.argmax())
        raise RecordingError(
            f"{path}: the event at {int(chunk.t_us[at])} us with x {int(chunk.x[at])}, "
            f"y {int(chunk.y[at])} lies outside the sensor of {geometry}; state its real size"
        )
