"""`udp:` sources: address events that come as datagrams.

A datagram that the network loses leaves no trace. What this machine drops since its own buffer is
full is counted by Linux, and so told.
"""

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from retempo.sensors.columns import Columns, no_events, part_of
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import Clock, Source
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.live.chunk_queue import OVERLOADS
from retempo.sensors.live.device import Arrival
from retempo.sensors.live.options import Address, one_of, read_address, read_options, size
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.network.aer import LAYOUTS, NO_TIME, Layout, decode_datagrams, unwrapped
from retempo.sensors.problems import both, problem

EXAMPLE = "udp://127.0.0.1:3333?size=346x260"
_MOST_BYTES = 65_536
# Taken in one look, so that small datagrams cost little each.
_MOST_DATAGRAMS = 256
_BUFFER_BYTES = 4 << 20
# SO_RXQ_OVFL of Linux, which Python's socket module does not name.
_DROPS = 40


class UdpDevice:
    """A bound UDP socket as a device.

    `clock` chooses whose times the events get: `host` gives the host's clock at their arrival, in
    us since the socket was opened, `sensor` their timestamps, unwrapped.
    """

    def __init__(
        self,
        address: Address,
        geometry: Geometry,
        layout: Layout = LAYOUTS["aer"],
        clock: Clock = "host",
        *,
        foresees: bool = True,
        buffer_bytes: int = _BUFFER_BYTES,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.geometry = geometry
        self.clock = clock
        self.foresees = foresees and clock == "sensor"
        self._layout = layout
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._last_us: int | None = None
        self._dropped = 0
        self._socket = _bound(address, buffer_bytes)
        host, port = self._socket.getsockname()[:2]
        self.address = Address(host, port)
        self.name = f"udp://{self.address}"
        self.about = (
            f"datagrams at {self.address}, {layout.about}, {geometry}, clock of the {clock}"
        )

    def read(self, timeout_s: float) -> Arrival:
        """Take the datagrams that have come."""
        datagrams, dropped = self._receive(timeout_s)
        now_us = (self._clock_s() - self._began_s) * 1e6
        reached_us = int(now_us) if self.clock == "host" else None
        if not datagrams:
            return Arrival(no_events(), now_us, reached_us=reached_us)
        columns = decode_datagrams(self._layout, datagrams)
        untimed = 0
        if self.clock == "host":
            columns = _arrived(columns, int(now_us))
        else:
            columns, untimed = self._timed(columns)
        if dropped:
            full = problem("overflow", "the socket's buffer was full", 0, dropped)
            columns = replace(columns, problems=both(full, columns.problems))
        return Arrival(
            columns, now_us, came_us=now_us, reached_us=reached_us, lost=dropped + untimed
        )

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _timed(self, columns: Columns) -> tuple[Columns, int]:
        """Unwrap the times; returns how many events had none, which are left out."""
        timed = columns.t_us != NO_TIME
        untimed = len(columns) - int(np.count_nonzero(timed))
        problems = columns.problems
        if untimed:
            columns = part_of(columns, timed)
            lacking = problem("no_timestamp", "events have no timestamp", 0, untimed)
            problems = both(problems, lacking)
        t_us = unwrapped(columns.t_us, self._last_us, self._layout.bits)
        if len(t_us):
            self._last_us = int(t_us[-1])
        return replace(columns, t_us=t_us, problems=problems), untimed

    def _receive(self, timeout_s: float) -> tuple[list[bytes], int]:
        datagrams: list[bytes] = []
        dropped = 0
        self._socket.settimeout(timeout_s)
        while len(datagrams) < _MOST_DATAGRAMS:
            try:
                data, notes, _, _ = self._socket.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(4))
            except (TimeoutError, BlockingIOError):
                break
            except OSError as error:
                raise LiveError(f"{self.name} failed: {error.strerror or error}") from error
            for level, kind, value in notes:
                if (level, kind) == (socket.SOL_SOCKET, _DROPS):
                    # Counted by the kernel since the socket was opened, modulo 2^32.
                    told = int.from_bytes(value[:4], "little")
                    dropped += (told - self._dropped) % (1 << 32)
                    self._dropped = told
            datagrams.append(data)
            self._socket.settimeout(0.0)
        return datagrams, dropped


def open_udp(rest: str, geometry: Geometry | None) -> Source:
    """Open `udp://HOST:PORT?size=WxH`, which listens there.

    Options: `size`, `format` (see `aer.LAYOUTS`), `time=host|sensor`, `silence=host|sensor`,
    `overload`.

    Raises:
        LiveError: the address cannot be listened at.
        SensorError: no address, an unknown or unfit option, or no size.
    """
    where, _, query = rest.partition("?")
    address = read_address(where, EXAMPLE)
    options = read_options(
        query,
        {
            "size": size,
            "format": one_of(*LAYOUTS),
            "time": one_of("host", "sensor"),
            "silence": one_of("host", "sensor"),
            "overload": one_of(*OVERLOADS),
        },
        EXAMPLE,
    )
    grid = options.get("size", geometry)
    if not isinstance(grid, GridGeometry):
        raise SensorError(f"udp:{rest} does not tell its sensor; give its size, as in {EXAMPLE}")
    layout = LAYOUTS[options.get("format", "aer")]
    # Words may lack a timestamp, and AEStream's always do; faery's layouts always have one.
    own: Clock = "host" if layout.name == "aer" else "sensor"
    device = UdpDevice(
        address,
        grid,
        layout,
        options.get("time", own),
        foresees=options.get("silence", "host") == "host",
    )
    return LiveStream(device, options.get("overload", "shed_oldest"))


def _arrived(columns: Columns, now_us: int) -> Columns:
    told = int(np.count_nonzero(columns.t_us != NO_TIME))
    problems = columns.problems
    if told:
        unused = problem("ignored_time", "events have timestamps; give time=sensor", 0, told)
        problems = both(problems, unused)
    return replace(columns, t_us=np.full(len(columns), now_us, np.int64), problems=problems)


def _bound(address: Address, buffer_bytes: int) -> socket.socket:
    host = address.host or "0.0.0.0"  # noqa: S104  (an empty host asks for every address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        if sys.platform == "linux":
            sock.setsockopt(socket.SOL_SOCKET, _DROPS, 1)
        sock.bind((host, address.port))
    except OSError as error:
        sock.close()
        raise LiveError(
            f"cannot listen at udp {address}: {error.strerror or error}; take another port, or an "
            "address of this machine"
        ) from error
    return sock
