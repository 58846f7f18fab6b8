"""A camera that is not there: it plays recorded events with the driver's own packet types.

The status and packet classes are those of neuromorphic_drivers; its compiled side, which fills them
in for a real camera, cannot be made without one. Events have the fields that it gives them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import neuromorphic_drivers as nd
import numpy as np
from neuromorphic_drivers import packet as packets
from neuromorphic_drivers import status as statuses

from retempo.sensors.events import EventChunk

EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
BEGAN_S = 1_700_000_000.0
PACKETS = {
    "davis346": packets.Davis346Packet,
    "dvxplorer": packets.DvxplorerPacket,
    "evk3": packets.Evt3Packet,
    "evk4": packets.Evt3Packet,
    "silkyevcam": packets.Evt3Packet,
    "triton2": packets.Evt3Packet,
}
NAMES = {
    "davis346": nd.Name.INIVATION_DAVIS346,
    "dvxplorer": nd.Name.INIVATION_DVXPLORER,
    "evk3": nd.Name.PROPHESEE_EVK3_HD,
    "evk4": nd.Name.PROPHESEE_EVK4,
    "silkyevcam": nd.Name.CENTURYARKS_VGA,
    "triton2": nd.Name.LUCID_TRITON,
}


@dataclass
class StandIn:
    """A device of neuromorphic_drivers, as its iterator behaves with a timeout.

    A packet holds the events of `packet_us` of the sensor's time, none in silence. `dropped` says
    how many packets the ring has dropped up to each packet. Behind the last packet nothing comes,
    or the camera is unplugged; `at_end` is told first.
    """

    events: EventChunk
    model: str = "evk4"
    size: tuple[int, int] = (1280, 720)
    packet_us: int = 2_000
    dropped: Sequence[int] = ()
    unplugged: bool = False
    at_end: Callable[[], object] = field(default=lambda: None)
    closed: int = 0
    _place: int = 0

    def __post_init__(self) -> None:
        self._table = np.zeros(len(self.events), EVENT)
        columns = (self.events.t_us, self.events.x, self.events.y, self.events.on)
        for name, column in zip(EVENT.names or (), columns, strict=True):
            self._table[name] = column
        first = int(self.events.t_us[0])
        ends = np.arange(first + self.packet_us, self.events.t_end_us, self.packet_us)
        self._ends = [*ends.tolist(), self.events.t_end_us]
        self._cuts = [0, *np.searchsorted(self.events.t_us, ends).tolist(), len(self.events)]

    def __iter__(self) -> "StandIn":
        return self

    def __next__(self) -> tuple[Any, Any]:
        if self._place == len(self._ends):
            self.at_end()
            if self.unplugged:
                raise RuntimeError("No such device (it may have been disconnected)")
            return statuses.RawStatus(system_time=self._host_s(self._ends[-1]), ring=None), None
        end_us = self._ends[self._place]
        packet = PACKETS[self.model]()
        for name in type(packet).__annotations__:
            setattr(packet, name, [] if name == "frames" else None)
        part = self._table[self._cuts[self._place] : self._cuts[self._place + 1]]
        packet.polarity_events = part.copy() if len(part) else None
        ring = statuses.RingStatus(
            system_time=self._host_s(end_us),
            backlog=0,
            raw_packets=1,
            clutch_engaged=False,
            current_t=end_us,
            dropped_packets=self.dropped[self._place] if self.dropped else 0,
        )
        self._place += 1
        return statuses.Status(system_time=self._host_s(end_us), ring=ring), packet

    def _host_s(self, t_us: int) -> float:
        return BEGAN_S + (t_us - int(self.events.t_us[0])) * 1e-6

    def name(self) -> nd.Name:
        return NAMES[self.model]

    def serial(self) -> str:
        return "00050423"

    def properties(self) -> Any:
        return SimpleNamespace(width=self.size[0], height=self.size[1])

    def close(self) -> None:
        self.closed += 1


@dataclass
class RawStandIn:
    """The same opened with `raw=True`: packets of bytes, cut anywhere; then it is unplugged."""

    data: bytes
    packet_bytes: int = 16_384
    size: tuple[int, int] = (1280, 720)
    closed: int = 0
    _place: int = 0

    def __iter__(self) -> "RawStandIn":
        return self

    def __next__(self) -> tuple[Any, Any]:
        packet = self.data[self._place : self._place + self.packet_bytes]
        if not packet:
            raise RuntimeError("No such device (it may have been disconnected)")
        self._place += len(packet)
        now_s = BEGAN_S + self._place * 1e-6
        ring = statuses.RawRingStatus(
            system_time=now_s,
            backlog=0,
            raw_packets=1,
            clutch_engaged=False,
            overflow_indices=None,
            dropped_packets=0,
        )
        return statuses.RawStatus(system_time=now_s, ring=ring), packet

    def name(self) -> nd.Name:
        return nd.Name.PROPHESEE_EVK4

    def serial(self) -> str:
        return "00050423"

    def properties(self) -> Any:
        return SimpleNamespace(width=self.size[0], height=self.size[1])

    def close(self) -> None:
        self.closed += 1
