"""Prophesee's EVT 2.0 and EVT 3.0 (`.raw`), as faery decodes them.

faery unwraps the clock and lifts a time that goes back to the time before it. Where the header
states the sensor's size, it refuses a file with an event outside of it.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.faery_decoders import ANY_DIMENSIONS, decode_with_faery
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.percent_header import (
    PercentHeader,
    read_percent_header,
    stated_geometry,
)
from retempo.sensors.geometry import GridGeometry

_VERSION = re.compile(r"^% *(?:evt +|format +EVT)(\d(?:\.\d)?)", re.IGNORECASE | re.MULTILINE)
_WORD_BYTES = {"2": 4, "3": 2}
# Older headers name the sensor's plugin instead of its size.
_SENSORS = (
    ("hal_plugin_gen3", GridGeometry(640, 480)),
    ("hal_plugin_gen4", GridGeometry(1280, 720)),
    ("hal_plugin_imx636", GridGeometry(1280, 720)),
    ("hal_plugin_genx320", GridGeometry(320, 320)),
)


def _version(header: PercentHeader) -> str | None:
    found = _VERSION.search(header.text)
    return found[1].removesuffix(".0") if found else None


def _sniffer(version: str) -> Callable[[bytes, Path], bool]:
    def sniff(head: bytes, path: Path) -> bool:
        del path
        return _version(read_percent_header(head)) == version

    return sniff


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    header = read_percent_header(head)
    version = _version(header)
    if version not in _WORD_BYTES:
        raise RecordingError(
            f"{path} states {'no EVT version' if version is None else f'EVT {version}'}, expected "
            "a header line '% evt 2.0' or '% evt 3.0'; convert it to EVT 3.0"
        )
    word_bytes = _WORD_BYTES[version]
    rest = (path.stat().st_size - header.size) % word_bytes
    if rest:
        raise RecordingError(
            f"{path} is truncated: it ends {rest} bytes into an EVT{version} word of "
            f"{word_bytes} bytes; copy it again"
        )
    grid = geometry or stated_geometry(header) or _sensor_geometry(header)
    if grid is None:
        raise RecordingError(
            f"{path} states neither its width and height nor a known sensor; give its geometry"
        )
    decode = partial(
        decode_with_faery,
        path,
        file_type="evt",
        version_fallback=f"evt{version}",
        dimensions_fallback=ANY_DIMENSIONS,
    )
    return Opened(grid, decode)


def _sensor_geometry(header: PercentHeader) -> GridGeometry | None:
    for plugin, grid in _SENSORS:
        if plugin in header.text:
            return grid
    return None


EVT2 = Format("EVT2", (".raw", ".evt2"), _sniffer("2"), of_grid(_open))
EVT3 = Format("EVT3", (".raw", ".evt3"), _sniffer("3"), of_grid(_open))
