"""Prophesee's EVT 2.0, 2.1 and 3.0 (`.raw`): a percent header, then the words of the sensor."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from retempo.sensors.byte_decoder import decode_file, read_pieces
from retempo.sensors.errors import RecordingError
from retempo.sensors.evt import ByteOrder, Coding, Packed, Version, evt_decoder, packed_pieces
from retempo.sensors.evt.decoder import PIECE_BYTES
from retempo.sensors.files.evt_writer import write_evt
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.percent_header import (
    PercentHeader,
    read_percent_header,
    stated_geometry,
)
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import Policy

_VERSION = re.compile(r"^% *(?:evt +|format +EVT)(\d)\.?(\d?)", re.IGNORECASE | re.MULTILINE)
_ORDER = re.compile(r"^% *(?:endianness +|format +\S*?;endianness=)(\w+)", re.I | re.MULTILINE)
_T0 = re.compile(r"^% *t0 +(\d{1,18})\s*$", re.IGNORECASE | re.MULTILINE)
_VERSIONS: dict[str, Version] = {"2": "2", "2.1": "2.1", "3": "3"}
_ORDERS: dict[str, ByteOrder] = {"little": "little", "big": "big", "legacy": "legacy"}
# Older headers name the sensor's plugin instead of its size.
_SENSORS = (
    ("hal_plugin_gen3", GridGeometry(640, 480)),
    ("hal_plugin_gen4", GridGeometry(1280, 720)),
    ("hal_plugin_imx636", GridGeometry(1280, 720)),
    ("hal_plugin_genx320", GridGeometry(320, 320)),
)
_KNOWN_TYPES = (0x0, 0x1, 0x8, 0xA, 0xE, 0xF)


def coding_of(path: Path, head: bytes) -> tuple[Coding, PercentHeader]:
    """Return how the words of a file are to be read, and its header.

    Raises:
        RecordingError: its header states no EVT version, an unknown one, or an unknown byte order.
    """
    header = read_percent_header(head)
    stated = _version(header)
    version = _VERSIONS.get(stated or "")
    if version is None:
        raise RecordingError(
            f"{path} states {'no EVT version' if stated is None else f'EVT {stated}'}, expected "
            "a header line '% evt 2.0', '% evt 2.1' or '% evt 3.0'; convert it to EVT 3.0"
        )
    found, t0 = _ORDER.search(header.text), _T0.search(header.text)
    order = _ORDERS.get(found[1].lower()) if found else _likely_order(version, head[header.size :])
    if order is None or (order == "legacy" and version != "2.1"):
        word = found[1] if found else ""
        raise RecordingError(
            f"{path} states the byte order {word!r} for EVT {version}, expected little or big, or "
            "legacy for EVT 2.1; mend its header line"
        )
    return Coding(version, order, int(t0[1]) if t0 else 0), header


def packed_events(path: Path, policy: Policy = "raise") -> Iterator[Packed]:
    """Decode an EVT file to blocks of packed events; see `sensors.evt.packed_pieces`.

    Raises:
        RecordingError: the file cannot be read, is no EVT file, or is damaged.
    """
    coding, header = coding_of(path, b"".join(islice(read_pieces(path), 1)))
    pieces = read_pieces(path, header.size, PIECE_BYTES)
    return packed_pieces(coding, pieces, policy, str(path), header.size)


def _version(header: PercentHeader) -> str | None:
    found = _VERSION.search(header.text)
    if found is None:
        return None
    return f"{found[1]}.{found[2]}" if found[2] not in ("", "0") else found[1]


def _likely_order(version: Version, body: bytes) -> ByteOrder:
    """EVT2.1 of IMX636 sensors comes in an order of its own that older headers do not state."""
    if version != "2.1":
        return "little"
    words = np.frombuffer(body[: len(body) // 8 * 8], "<u8")
    little, legacy = (np.isin((words >> shift) & 0xF, _KNOWN_TYPES).sum() for shift in (60, 28))
    return "legacy" if legacy > little else "little"


def _sniffer(version: str) -> Callable[[bytes, Path], bool]:
    def sniff(head: bytes, path: Path) -> bool:
        del path
        return _version(read_percent_header(head)) == version

    return sniff


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    coding, header = coding_of(path, head)
    grid = geometry or grid_of(header)
    if grid is None:
        raise RecordingError(
            f"{path} states neither its width and height nor a known sensor; give its geometry"
        )
    decoder = evt_decoder(coding, first_byte=header.size)
    return Opened(grid, partial(decode_file, path, decoder, header.size, PIECE_BYTES))


def grid_of(header: PercentHeader) -> GridGeometry | None:
    """Return the sensor that a header states or names, None where it does neither."""
    stated = stated_geometry(header)
    if stated is not None:
        return stated
    for plugin, grid in _SENSORS:
        if plugin in header.text:
            return grid
    return None


EVT2 = Format("EVT2", (".raw", ".evt2"), _sniffer("2"), of_grid(_open), partial(write_evt, "2"))
EVT21 = Format("EVT2.1", (".raw", ".evt21"), _sniffer("2.1"), of_grid(_open))
EVT3 = Format("EVT3", (".raw", ".evt3"), _sniffer("3"), of_grid(_open), partial(write_evt, "3"))
