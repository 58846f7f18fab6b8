"""AEDAT 4, the container of iniVation's DV software; its first event track is read."""

from functools import partial
from pathlib import Path

from retempo.sensors.files.faery_decoders import decode_with_faery, dimensions_by_faery
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.aedat4 import write_aedat4
from retempo.sensors.geometry import GridGeometry


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"#!AER-DAT4.0\r\n")


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    del head
    grid = dimensions_by_faery(path, file_type="aedat")
    decode = partial(decode_with_faery, path, file_type="aedat")
    return Opened(geometry or grid, decode)


FORMAT = Format("AEDAT4", (".aedat4",), _sniff, of_grid(_open), write_aedat4)
