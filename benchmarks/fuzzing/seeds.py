"""Small whole recordings of every format, which the fuzzer then damages."""

import io
import struct
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lz4.frame
import numpy as np
from scipy.io import savemat

from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import FORMATS, open_recording
from retempo.sensors.files.aedat4_packet import zstd
from retempo.sensors.files.nmnist import encode_nmnist
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry
from tests.sensors import byte_files as made
from tests.sensors.bags import Bag

GRID = GridGeometry(34, 34)
_EVENTS = 60
# Longer seeds make slower inputs, and most of their bytes are events like any others.
_MOST_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class Seed:
    """A recording's bytes, the suffix that they have on disk, and the format that they open as."""

    format: str
    suffix: str
    data: bytes


def chunk_of(geometry: Geometry) -> EventChunk:
    """A few events in time order all over a sensor."""
    k = np.arange(_EVENTS)
    t_us = (40 + 37 * k).astype(np.int64)
    if isinstance(geometry, ChannelGeometry):
        channel = (k * 7 % geometry.channels).astype(np.uint16)
        return EventChunk(t_us, int(t_us[-1]), channel=channel)
    x, y = (k * 5 % geometry.width).astype(np.uint16), (k * 3 % geometry.height).astype(np.uint16)
    return EventChunk(t_us, int(t_us[-1]), x, y, k % 3 == 0)


def _rows() -> list[made.Event]:
    return [(40 + 37 * k, k * 5 % 34, k * 3 % 34, k % 3 == 0) for k in range(_EVENTS)]


def _aedat4(pack: Callable[[bytes], bytes]) -> bytes:
    streams = [made.aedat4_stream(0), made.aedat4_stream(1, "FRME")]
    events = [made.aedat4_packet(pack(made.aedat4_events(_rows()[k::2]))) for k in range(2)]
    frame = made.aedat4_packet(pack(made.aedat4_events([], b"FRME")), 1)
    return made.aedat4_header(streams) + events[0] + frame + events[1]


def _aedat3() -> bytes:
    packets = [made.packet([made.polarity(row) for row in _rows()[k::2]]) for k in range(2)]
    special = made.packet([struct.pack("<II", 1, 9)], kind=0)
    return made.AEDAT3_HEADER + packets[0] + special + packets[1]


def _es() -> bytes:
    events = (bytes([74 | on, x, 0, y, 0]) for _, x, y, on in _rows())
    return b"Event Stream\x02\x00\x00\x01" + bytes([34, 0, 34, 0]) + b"\xff".join(events)


def _evt(version: int) -> bytes:
    """Time, row and column words of EVT 2.0, or of EVT 3.0."""
    words: list[int] = []
    for t, x, y, on in _rows():
        if version == 2:
            words += [8 << 28 | t >> 6, int(on) << 28 | (t & 63) << 22 | x << 11 | y]
        else:
            words += [8 << 12 | t >> 12, 6 << 12 | t & 4095, y, 2 << 12 | int(on) << 11 | x]
    head = f"% evt {version}.0\n% format EVT{version};height=34;width=34\n% end\n"
    return head.encode() + np.array(words, f"<u{4 if version == 2 else 2}").tobytes()


def _evt21() -> bytes:
    words = [
        word
        for t, x, y, on in _rows()
        for word in (
            8 << 60 | (t >> 6) << 32,
            int(on) << 60 | (t & 63) << 54 | x << 43 | y << 32 | 5,
        )
    ]
    head = b"% evt 2.1\n% format EVT21;height=34;width=64\n% end\n"
    return head + np.array(words, "<u8").tobytes()


def _caltech() -> bytes:
    chunk = chunk_of(GridGeometry(240, 180))
    return encode_nmnist(chunk)


def _numpy(save: Callable[[io.BytesIO], None]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def _matlab(compress: bool) -> bytes:
    """Taxels in rows, moments in columns, the times in the last row, as ST-MNIST has it."""
    moments = np.arange(_EVENTS)
    trains = np.zeros((101, _EVENTS))
    trains[moments * 7 % 100, moments] = np.where(moments % 3, 1, -1)
    trains[100] = 0.001 * moments
    return _numpy(lambda file: savemat(file, {"spiketrain": trains}, do_compression=compress))


def _sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8_000, 0, "NONE", ""))
        tone = 9_000 * np.sin(np.arange(800) / 3)
        sound.writeframes(tone.astype("<i2").tobytes())
    return file.getvalue()


def _table() -> np.ndarray:
    return np.array(_rows(), np.uint64)


def _bag() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Bag(Path(folder), "a.bag") as bag:
            bag.array("/dvs/events", [(t, x, y, int(on)) for t, x, y, on in _rows()])
        return bag.path.read_bytes()


# What no writer of ours makes; a new format's seed may stand here or come from its writer.
MADE: tuple[tuple[str, Callable[[], bytes]], ...] = (
    (".aedat", lambda: made.aedat2([(made.dvs128(x, y, on), t) for t, x, y, on in _rows()])),
    (
        ".aedat",
        lambda: made.aedat2([(made.davis(x, y, on), t) for t, x, y, on in _rows()], "DAVIS240C"),
    ),
    (".aedat", _aedat3),
    (".aedat", lambda: made.nas([(7 * k % 64, 130 * k) for k in range(_EVENTS)])),
    (".aedat4", lambda: _aedat4(lambda content: content)),
    (".aedat4", lambda: _aedat4(lz4.frame.compress)),
    (".aedat4", lambda: _aedat4(zstd.compress)),
    (".es", _es),
    (".dat", lambda: made.dat((t, x, y, int(on)) for t, x, y, on in _rows())),
    (".bin", lambda: encode_nmnist(chunk_of(GRID))),
    (".bin", _caltech),
    (".raw", lambda: _evt(2)),
    (".raw", lambda: _evt(3)),
    (".raw", _evt21),
    (".csv", lambda: b"t,x@34,y@34,on\n" + b"".join(b"%d,%d,%d,%d\n" % row for row in _rows())),
    (".txt", lambda: b"".join(b"%d %d %d %d\n" % row for row in _rows())),
    (".npy", lambda: _numpy(lambda file: np.save(file, _table()))),
    (".mat", lambda: _matlab(compress=False)),
    (".mat", lambda: _matlab(compress=True)),
    (".wav", _sound),
    (".bag", _bag),
)


def seeds(data_root: Path | None) -> list[Seed]:
    """Every seed that opens: made here, written by the formats themselves, and cut from real ones.

    Args:
        data_root: a folder of real recordings, None for none.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = [
            *(_opened(Path(folder), suffix, make()) for suffix, make in MADE),
            *_written(Path(folder)),
            *(_real(Path(folder), data_root) if data_root else ()),
        ]
    return [seed for seed in found if seed is not None]


def _written(folder: Path) -> Iterator[Seed | None]:
    for known in FORMATS:
        if known.write is None:
            continue
        for geometry in (GRID, ChannelGeometry(64)):
            path = folder / f"written{known.suffixes[0]}"
            path.unlink(missing_ok=True)
            try:
                known.write(path, geometry, iter([chunk_of(geometry)]))
            except SensorError:
                continue
            if path.is_file():
                yield _opened(folder, known.suffixes[0], path.read_bytes())


def _real(folder: Path, data_root: Path) -> Iterator[Seed | None]:
    """The beginnings of one recording a folder and suffix."""
    seen: set[tuple[Path, str]] = set()
    for path in sorted(data_root.rglob("*")):
        kind = (path.parent, path.suffix)
        if kind in seen and path.parent.name != "recordings":
            continue
        if path.is_file() and path.suffix not in ("", ".md", ".json"):
            seen.add(kind)
            with path.open("rb") as file:
                yield _opened(folder, path.suffix, file.read(_MOST_BYTES))


def _opened(folder: Path, suffix: str, data: bytes) -> Seed | None:
    path = folder / f"seed{suffix}"
    path.write_bytes(data)
    for geometry in (None, GRID):
        try:
            return Seed(open_recording(path, geometry=geometry, policy="skip").format, suffix, data)
        except SensorError:
            continue
    return None
