"""Prophesee's DAT: a percent header, two bytes for the event's type and size, eight bytes an event.

A little-endian u32 time in us, then a u32 word: x in 14 bits, y in 14 bits and the polarity in 4
(version 2), or x in 9 bits, y in 8 and the polarity in 1 (version 1). The time wraps after 71
minutes and is unwrapped here. Files of other events than change detections are refused: the type
is stated once, for the whole file.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import ByteDecoder, decode_file
from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.fixed_records import (
    Clock,
    Records,
    drop_and_count,
    record_decoder,
    unwrap,
)
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.percent_header import read_percent_header, stated_geometry
from retempo.sensors.files.writers.dat import write_dat
from retempo.sensors.geometry import GridGeometry

# N-CARS and other early files state no size: they come from the first ATIS.
GEOMETRY = GridGeometry(304, 240)

_EVENT_BYTES = 8
# "2d" of the first ATIS, "cd" of every later sensor.
_CHANGE_DETECTION = (0x00, 0x0C)
_VERSION = re.compile(r"^% *version +(\d+)", re.IGNORECASE | re.MULTILINE)
_T0 = re.compile(r"^% *t0 +(\d{1,18})\b", re.IGNORECASE | re.MULTILINE)


def decode_dat(words: NDArray[np.uint32], version: int) -> Columns:
    """The events in `words` of shape `(events, 2)`, times as the file has them.

    An event of version 2 whose polarity is neither 0 nor 1 is dropped and counted.
    """
    x_bits, y_bits = (14, 14) if version == 2 else (9, 8)
    address = words[:, 1]
    polarity = address >> np.uint32(x_bits + y_bits)
    columns = Columns(
        t_us=words[:, 0].astype(np.int64),
        x=(address & ((1 << x_bits) - 1)).astype(np.uint16),
        y=((address >> x_bits) & ((1 << y_bits) - 1)).astype(np.uint16),
        on=(polarity & 1).astype(np.bool_),
    )
    if version != 2:
        return columns
    return drop_and_count(
        columns,
        polarity > 1,
        "polarity",
        "the event at {t} us has a polarity that is neither 0 nor 1",
    )


def dat_decoder(version: int, t0_us: int = 0) -> ByteDecoder[Records[Clock]]:
    """A decoder of the bytes behind the header; `t0_us` is added to every time."""

    def decode(clock: Clock, data: bytes) -> tuple[Clock, Columns]:
        columns = decode_dat(np.frombuffer(data, "<u4").reshape(-1, 2), version)
        clock, t_us = unwrap(clock, columns.t_us)
        return clock, replace(columns, t_us=t_us + t0_us)

    return record_decoder(_EVENT_BYTES, Clock(), decode)


def _sniff(head: bytes, path: Path) -> bool:
    del path
    text = read_percent_header(head).text
    return text.startswith(("% Data file containing", "%Data file containing")) or bool(
        _VERSION.search(text)
    )


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    header = read_percent_header(head)
    kind = head[header.size : header.size + 2]
    if len(kind) < 2:
        raise RecordingError(
            f"{path} is truncated: its header ends without the event's type; copy it again"
        )
    if kind[0] not in _CHANGE_DETECTION or kind[1] != _EVENT_BYTES:
        raise RecordingError(
            f"{path} holds events of type {kind[0]:#04x} and {kind[1]} bytes, expected change "
            f"detections (type 0x00 or 0x0c) of {_EVENT_BYTES} bytes"
        )
    version = _VERSION.search(header.text)
    if version and version[1] not in ("1", "2"):
        raise RecordingError(f"{path} is DAT version {version[1]}, expected version 1 or 2")
    t0 = _T0.search(header.text)
    decoder = dat_decoder(int(version[1]) if version else 2, int(t0[1]) if t0 else 0)
    decode = partial(decode_file, path, decoder, header.size + 2)
    return Opened(geometry or stated_geometry(header) or GEOMETRY, decode, may_go_back=True)


FORMAT = Format("DAT", (".dat",), _sniff, of_grid(_open), write_dat)
