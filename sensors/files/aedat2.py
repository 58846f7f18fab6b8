"""AEDAT 2.0 (`.aedat`), as jAER writes it: lines of text, then 8 bytes an event, big-endian.

A u32 address whose meaning depends on the chip, then a u32 time in us. DVS128: the polarity in
bit 0 (clear is on), x in bits 1 to 7, y in bits 8 to 14, external events with bit 15 or 31.
DAVIS: the polarity in bit 11 (set is on), x in bits 12 to 21, y in bits 22 to 30, external events
with bit 10, samples of frames and of the inertial unit with bit 31. External events and samples are
passed over: they are no pixels' changes, and nothing is wrong with them.

x and y are as the file has them; jAER mirrors x and shows y from the bottom when it draws. The
polarity follows jAER's extractor and, for the DVS128, the published tables of POKER-DVS, which hold
the inverse of bit 0.

Times count from the first event of a pixel. The clock of these sensors starts anywhere, and jAER's
signed and other readers' unsigned times of one file differ by 71 minutes; a note tells where the
file's own clock stood. It wraps after 71 minutes and is unwrapped here.
"""

import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import ByteDecoder, decode_file
from retempo.sensors.columns import Columns
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.aer_header import AerHeader, chip_geometry, read_aer_header
from retempo.sensors.files.fixed_records import (
    Clock,
    Records,
    drop_and_count,
    record_decoder,
    unwrap,
)
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.geometry import GridGeometry

_EVENT_BYTES = 8
_CHIP = re.compile(r"# *AEChip: *(.+)", re.IGNORECASE)
_INTERFACE = re.compile(r"# *HardwareInterface: *(.+)", re.IGNORECASE)
_VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)")

Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a chip writes a pixel's event into an address.

    An address with a bit of `other` is no pixel's event. One with a bit of `unused` is none that
    the chip could send.
    """

    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    polarity_bit: int
    on_is_set: bool
    other: int
    unused: int


DVS128 = Layout(1, 0x7F, 8, 0x7F, 0, on_is_set=False, other=0x8000_8000, unused=0x7FFF_0000)
DAVIS = Layout(12, 0x3FF, 22, 0x1FF, 11, on_is_set=True, other=0x8000_0400, unused=0)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is carried from piece to piece: the file's clock, and its time at the first event."""

    clock: Clock = field(default_factory=Clock)
    first_us: int | None = None


def decode_aedat2(words: Words, layout: Layout) -> Columns:
    """The pixels' events in `words` of shape `(events, 2)`, times as the file has them."""
    words = words[(words[:, 0] & np.uint32(layout.other)) == 0]
    address = words[:, 0]
    columns = Columns(
        t_us=words[:, 1].astype(np.int64),
        x=((address >> layout.x_shift) & layout.x_mask).astype(np.uint16),
        y=((address >> layout.y_shift) & layout.y_mask).astype(np.uint16),
        on=((address >> layout.polarity_bit) & 1) == int(layout.on_is_set),
    )
    return drop_and_count(
        columns,
        (address & np.uint32(layout.unused)) != 0,
        "outside",
        "the event at {t} us of the file's clock has an address beyond the sensor's",
    )


def aedat2_decoder(layout: Layout) -> ByteDecoder[Records[_Known]]:
    """A decoder of the bytes behind the header."""

    def decode(known: _Known, data: bytes) -> tuple[_Known, Columns]:
        columns = decode_aedat2(_words(data), layout)
        clock, t_us = unwrap(known.clock, columns.t_us)
        first_us = known.first_us
        if first_us is None and len(t_us):
            first_us = int(t_us[0])
        return _Known(clock, first_us), replace(columns, t_us=t_us - (first_us or 0))

    return record_decoder(_EVENT_BYTES, _Known(), decode)


def _words(data: bytes) -> Words:
    return np.frombuffer(data, ">u4").astype(np.uint32).reshape(-1, 2)


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"#!AER-DAT2")


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    if not _sniff(head, path):
        found = _VERSION.match(head)
        stated = f"AEDAT {found[1].decode()}" if found else "no AEDAT version"
        raise RecordingError(
            f"{path} states {stated}, expected a first line '#!AER-DAT2.0' (or 3.1, or 4.0); "
            "save it again with jAER or DV"
        )
    header = read_aer_header(path, head)
    first = _words_behind(path, header)
    chip = header.value(_CHIP) or header.value(_INTERFACE)
    known = chip_geometry(chip) if chip else None
    layout = _layout(chip if known else None, first)
    grid = geometry or known or (GridGeometry(128, 128) if layout is DVS128 and not chip else None)
    if grid is None:
        raise RecordingError(
            f"{path} comes from {chip or 'a chip that it does not name'}, whose size is not known; "
            "give its geometry, as in --geometry 346x260"
        )
    decoder = aedat2_decoder(layout)
    decode = partial(decode_file, path, decoder, header.size)
    return Opened(grid, decode, may_go_back=True, notes=_notes(first, layout))


def _layout(chip: str | None, first: Words) -> Layout:
    if chip is not None:
        return DVS128 if re.search("dvs128|tmpdiff128", chip, re.IGNORECASE) else DAVIS
    # A DVS128 fills 16 bits; the rows of a DAVIS lie above them.
    return DAVIS if (first[:, 0] & np.uint32(0x7FFF_0000)).any() else DVS128


def _words_behind(path: Path, header: AerHeader) -> Words:
    try:
        with path.open("rb") as file:
            file.seek(header.size)
            data = file.read(65_536)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    return _words(data[: len(data) // _EVENT_BYTES * _EVENT_BYTES])


def _notes(first: Words, layout: Layout) -> tuple[str, ...]:
    events = decode_aedat2(first, layout)
    if len(events) == 0:
        return ()
    return (f"times count from the first event, at {int(events.t_us[0])} us of the file's clock",)


FORMAT = Format("AEDAT2", (".aedat",), _sniff, of_grid(_open))
