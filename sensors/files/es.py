"""Event Stream (`.es`), DVS and ATIS change detections; y counts from the top here.

A file that ends early is not told from a complete one: the format states no length.
"""

from functools import partial
from pathlib import Path

from retempo.sensors.files.faery_decoders import decode_with_faery, dimensions_by_faery
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.es import write_es
from retempo.sensors.geometry import GridGeometry


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(b"Event Stream")


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    del head
    grid = dimensions_by_faery(path, file_type="es")
    return Opened(geometry or grid, partial(decode_with_faery, path, file_type="es"))


FORMAT = Format("ES", (".es",), _sniff, of_grid(_open), write_es)
