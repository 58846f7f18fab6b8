"""What a file's head tells beyond its format and sensor: version, codec, camera, date.

A line for people. A format without an entry has nothing more to tell, and a head that is cut short
tells less.
"""

import io
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from retempo.sensors.files.percent_header import read_percent_header

_HEAD_BYTES = 65_536
_ES_KINDS = ("generic", "DVS", "ATIS", "colour")


def details_of(format_name: str, path: Path) -> str:
    """Return what the head of a file of this format tells; empty where that is nothing."""
    tell = _TELL.get(format_name)
    if tell is None:
        return ""
    with path.open("rb") as file:
        return ", ".join(part for part in tell(path, file.read(_HEAD_BYTES)) if part)


def _percent(path: Path, head: bytes) -> list[str]:
    del path
    text = read_percent_header(head).text

    def said(key: str) -> str:
        found = re.search(rf"^% *{key} +(.+?) *$", text, re.IGNORECASE | re.MULTILINE)
        return found[1] if found else ""

    version, date, serial = said("version"), said("date"), said("serial_number")
    plugin = said("plugin_name").removeprefix("hal_plugin_")
    return [
        f"EVT {said('evt')}" if said("evt") else "",
        f"version {version}" if version else "",
        plugin,
        f"serial {serial}" if serial else "",
        f"recorded {date}" if date else "",
    ]


def _aedat4(path: Path, head: bytes) -> list[str]:
    del path
    text = head.decode("utf-8", "replace")

    def said(key: str) -> list[str]:
        return list(dict.fromkeys(re.findall(rf'key="{key}"[^>]*>([^<]*)</attr>', text)))

    tracks = said("typeIdentifier")
    return [
        *said("compression")[:1],
        *said("source")[:1],
        f"tracks {' '.join(tracks)}" if tracks else "",
    ]


def _es(path: Path, head: bytes) -> list[str]:
    del path
    if len(head) < 16:
        return []
    kind = _ES_KINDS[head[15]] if head[15] < len(_ES_KINDS) else ""
    return [f"version {head[12]}.{head[13]}.{head[14]}", kind]


def _numpy(path: Path, head: bytes) -> list[str]:
    del path
    try:
        version = np.lib.format.read_magic(io.BytesIO(head))
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            return []
        stream = io.BytesIO(head)
        stream.seek(8)
        shape, _, dtype = read(stream)
    except ValueError:
        return []
    return [f"{dtype} of shape {shape}"]


def _sound(path: Path, head: bytes) -> list[str]:
    del head
    with import_module("soundfile").SoundFile(str(path)) as file:
        several = "s" if file.channels > 1 else ""
        return [
            f"{file.format} {file.subtype}",
            f"{file.samplerate:,} Hz",
            f"{file.channels} sound channel{several}",
        ]


_TELL: dict[str, Callable[[Path, bytes], list[str]]] = {
    "EVT2": _percent,
    "EVT2.1": _percent,
    "EVT3": _percent,
    "DAT": _percent,
    "AEDAT4": _aedat4,
    "ES": _es,
    "NumPy": _numpy,
    "Sound": _sound,
}
