"""Event Stream (`.es`) 2.0, DVS and ATIS change detections; y counts from the top here.

A header of 20 bytes, then 5 bytes an event: a byte with the time since the event before and the
polarity, x and y as little-endian u16. Longer gaps are bytes of their own. The exposure
measurements of an ATIS are passed over. The format has neither checks nor a length: a file that
ends between two events is not told from a complete one.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import Buffer, ByteDecoder, decode_file
from retempo.sensors.columns import Columns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import Times
from retempo.sensors.files.format import Format, Opened, of_grid
from retempo.sensors.files.writers.es import write_es
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import problem

_SIGNATURE = b"Event Stream"
_HEADER_BYTES = 20
_EVENT_BYTES = 5
_TYPES = {1: "DVS", 2: "ATIS"}
_OTHER_TYPES = {0: "generic", 4: "colour"}


@dataclass(frozen=True, slots=True)
class TimeCode:
    """How the first byte of an event holds its time and polarity.

    The upper bits are the time since the event before; a byte of `gap` or more is no event: its
    lower bits say how many times `gap_us` pass. A byte with a bit of `exposure` is no change.
    """

    shift: int
    gap: int
    gap_us: int
    polarity_bit: int
    exposure: int


DVS = TimeCode(shift=1, gap=0xFE, gap_us=0x7F, polarity_bit=0, exposure=0)
ATIS = TimeCode(shift=2, gap=0xFC, gap_us=0x3F, polarity_bit=1, exposure=1)


@dataclass(frozen=True, slots=True)
class _State:
    rest: bytes = b""
    t_us: int = 0


def es_decoder(code: TimeCode, height: int) -> ByteDecoder[_State]:
    """A decoder of the bytes behind the header of a file of `height` rows."""

    def feed(state: _State, data: Buffer) -> tuple[_State, Columns]:
        ready = np.frombuffer(state.rest + bytes(data), np.uint8)
        places, times, used, t_us = find_events(
            ready, state.t_us, code.shift, code.gap, code.gap_us
        )
        columns = _columns(ready, places, times, code, height)
        return _State(ready[used:].tobytes(), t_us), columns

    return ByteDecoder(_State, feed, _finish)


def _columns(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    times: Times,
    code: TimeCode,
    height: int,
) -> Columns:
    first = data[places]
    changes = (first & code.exposure) == 0
    places, times, first = places[changes], times[changes], first[changes]
    y = _u16(data, places + 3)
    # A row beyond the sensor stays beyond it.
    rows = np.where(y < height, height - 1 - y.astype(np.int64), y).astype(np.uint16)
    on = ((first >> code.polarity_bit) & 1).astype(np.bool_)
    return Columns(times, _u16(data, places + 1), rows, on)


def _u16(data: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.uint16]:
    return data[places].astype(np.uint16) | (data[places + 1].astype(np.uint16) << np.uint16(8))


@njit(cache=True, nogil=True)
def find_events(
    data: NDArray[np.uint8], t_us: int, shift: int, gap: int, gap_us: int
) -> tuple[NDArray[np.int64], Times, int, int]:  # pragma: no cover - compiled
    """Find the whole events in bytes that begin between two events.

    Returns where each begins and its time, both `(events,)`, how many bytes are used up, and the
    time behind them. `find_events_numpy` is the same without Numba.
    """
    places = np.empty(len(data) // 5 + 1, np.int64)
    times = np.empty(len(data) // 5 + 1, np.int64)
    found = 0
    at = 0
    while at < len(data):
        first = data[at]
        if first >= gap:
            t_us += gap_us * (first & ((1 << shift) - 1))
            at += 1
        elif at + 5 <= len(data):
            t_us += first >> shift
            places[found] = at
            times[found] = t_us
            found += 1
            at += 5
        else:
            break
    return places[:found], times[:found], at, t_us


def find_events_numpy(
    data: NDArray[np.uint8], t_us: int, shift: int, gap: int, gap_us: int
) -> tuple[NDArray[np.int64], Times, int, int]:
    """`find_events`, word for word as the format says it."""
    events: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        first = int(data[at])
        if first >= gap:
            t_us, at = t_us + gap_us * (first - gap), at + 1
        elif at + _EVENT_BYTES <= len(data):
            t_us += first >> shift
            events.append((at, t_us))
            at += _EVENT_BYTES
        else:
            break
    table = np.array(events, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1], at, t_us


def _finish(state: _State) -> Columns:
    rest = len(state.rest)
    if not rest:
        return no_events()
    return no_events(
        problem("truncated", f"it ends {rest} bytes into an event of {_EVENT_BYTES} bytes", kept=0)
    )


def _sniff(head: bytes, path: Path) -> bool:
    del path
    return head.startswith(_SIGNATURE)


def _open(path: Path, head: bytes, geometry: GridGeometry | None) -> Opened:
    if not _sniff(head, path):
        raise RecordingError(
            f"{path} begins with {head[:12]!r}, expected 'Event Stream'; rename it after what it is"
        )
    if len(head) < _HEADER_BYTES:
        raise RecordingError(
            f"{path} has an unreadable header of {len(head)} bytes, expected {_HEADER_BYTES}; "
            "copy it again"
        )
    major, kind = head[12], head[15]
    if major != 2:
        raise RecordingError(f"{path} is Event Stream {major}.{head[13]}, expected version 2")
    if kind not in _TYPES:
        raise RecordingError(
            f"{path} holds {_OTHER_TYPES.get(kind, f'type {kind}')} events, expected DVS or ATIS"
        )
    stated = GridGeometry(*(int.from_bytes(head[at : at + 2], "little") for at in (16, 18)))
    decoder = es_decoder(DVS if kind == 1 else ATIS, stated.height)
    return Opened(geometry or stated, partial(decode_file, path, decoder, _HEADER_BYTES))


FORMAT = Format("ES", (".es",), _sniff, of_grid(_open), write_es)
