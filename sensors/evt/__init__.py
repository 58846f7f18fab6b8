"""Prophesee's EVT2, EVT2.1 and EVT3, decoded from any piece of bytes with the state carried on."""

from retempo.sensors.evt.decoder import ByteOrder, Coding, Version, evt_decoder, packed_pieces
from retempo.sensors.evt.packed import Packed, columns_of_packed

__all__ = [
    "ByteOrder",
    "Coding",
    "Packed",
    "Version",
    "columns_of_packed",
    "evt_decoder",
    "packed_pieces",
]
