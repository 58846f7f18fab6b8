"""Recordings of the NAS, a silicon cochlea in an FPGA: 6 bytes a spike, big-endian, no header.

A u16 address, then a u32 time in ticks of 0.2 us. Address `2 * filter` is the positive and
`2 * filter + 1` the negative half wave of a filter, as pyNAVIS reads it; those of the right ear
follow those of the left. The addresses are the channels here, both half waves apart: a cochlea of
32 filters has 64 channels. `channel // 2` is the filter, which counts from the highest frequency.

Times are whole microseconds, `ticks // 5`, of the recording's own clock, which wraps after 14
minutes and is unwrapped here. Neither the ticks nor the number of channels stands in the file: the
channels are the next power of two, at least 64, that holds all but 2 % of the first 10,922 spikes.
"""

from functools import partial
from pathlib import Path

import numpy as np

from retempo.sensors.byte_decoder import ByteDecoder, decode_file
from retempo.sensors.columns import ChannelColumns, no_channel_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import Addresses, Times
from retempo.sensors.files.fixed_records import Clock, Records, record_decoder, unwrap
from retempo.sensors.files.format import Format, Opened, of_channels
from retempo.sensors.geometry import ChannelGeometry

TICKS_A_US = 5

_SPIKE_BYTES = 6
_SPIKE = np.dtype([("address", ">u2"), ("ticks", ">u4")])
_FEWEST_CHANNELS = 64
# A NAS of two ears and 64 filters has 256 addresses; no published one has more.
_MOST_CHANNELS = 512
# Fewer spikes than this look like a cochlea's by chance too easily.
_SNIFF_SPIKES = 16
# The rest may be damage.
_PLAUSIBLE = 0.98


def decode_nas(data: bytes) -> tuple[Times, Addresses]:
    """The ticks and the addresses in `data`, whose length must be a multiple of six.

    Shapes: both `(spikes,)`.
    """
    spikes = np.frombuffer(data, _SPIKE)
    return spikes["ticks"].astype(np.int64), spikes["address"].astype(np.uint16)


def nas_decoder() -> ByteDecoder[Records[Clock]]:
    """A decoder of the whole file."""

    def decode(clock: Clock, data: bytes) -> tuple[Clock, ChannelColumns]:
        ticks, channel = decode_nas(data)
        clock, ticks = unwrap(clock, ticks)
        return clock, ChannelColumns(ticks // TICKS_A_US, channel)

    return record_decoder(_SPIKE_BYTES, Clock(), decode, no_channel_events)


def _leading(head: bytes) -> tuple[Times, Addresses]:
    return decode_nas(head[: len(head) // _SPIKE_BYTES * _SPIKE_BYTES])


def _sniff(head: bytes, path: Path) -> bool:
    del path
    ticks, channel = _leading(head)
    if len(ticks) < _SNIFF_SPIKES or np.mean(channel < _MOST_CHANNELS) < _PLAUSIBLE:
        return False
    steps = np.diff(ticks)
    # Zeros alone go nowhere, and one filter alone is no cochlea's answer.
    return bool(
        np.mean(steps >= 0) >= _PLAUSIBLE
        and 2 * np.count_nonzero(steps) > len(steps)
        and (channel != channel[0]).any()
    )


def _open(path: Path, head: bytes, geometry: ChannelGeometry | None) -> Opened:
    if not _sniff(head, path):
        raise RecordingError(
            f"{path} is no recording of a NAS: its spikes of {_SPIKE_BYTES} bytes do not go "
            "forward in time; rename it after what it is"
        )
    return Opened(geometry or _channels(head), partial(decode_file, path, nas_decoder()))


def _channels(head: bytes) -> ChannelGeometry:
    addresses = _leading(head)[1]
    channels = _FEWEST_CHANNELS
    while np.mean(addresses < channels) < _PLAUSIBLE:
        channels *= 2
    return ChannelGeometry(channels)


FORMAT = Format("NAS", (".aedat",), _sniff, of_channels(_open))
