"""`udp:` sources over the loopback, fed by real senders and by hostile ones."""

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faery
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import Clock, EventChunk
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.live.options import Address
from retempo.sensors.live.progress import Progress
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.network.aer import LAYOUTS
from retempo.sensors.network.udp import UdpDevice
from retempo.sensors.open import open_source

GRID = GridGeometry(346, 260)
HERE = Address("127.0.0.1", 0)
TIMEOUT_S = 30.0
SENDER = """
import sys
import numpy
from faery import udp_encoder
events, port, layout = numpy.load(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
udp_encoder.encode([events], ("127.0.0.1", port), format=layout)
"""


class Clockwork:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def opened(
    layout: str = "aer", clock: Clock = "host", buffer_bytes: int = 1 << 20
) -> Iterator[tuple[UdpDevice, socket.socket, Clockwork]]:
    """A device, a socket that sends to it, and the device's clock."""
    now = Clockwork()
    device = UdpDevice(HERE, GRID, LAYOUTS[layout], clock, clock_s=now, buffer_bytes=buffer_bytes)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((device.address.host, device.address.port))
            yield device, sender, now
    finally:
        device.close()


def word(x: int, y: int, *, on: bool = True, timed: bool = False) -> bytes:
    return struct.pack("<I", (not timed) << 31 | x << 16 | on << 15 | y)


def taken(source: LiveStream, events: int) -> list[EventChunk]:
    """The chunks of a source until it has given so many events; stops it then."""
    chunks: list[EventChunk] = []
    for chunk in source:
        chunks.append(chunk)
        if sum(len(each) for each in chunks) >= events:
            source.stop()
    return chunks


def test_events_without_times_get_the_hosts_clock_at_their_arrival() -> None:
    with opened() as (device, sender, now):
        progress = Progress(GRID, device.name, foresees=device.foresees)
        now.now_s += 0.25
        sender.send(word(3, 5) + word(4, 6, on=False))
        chunk = progress.take(device.read(TIMEOUT_S))
        assert chunk is not None
        assert chunk.t_us.tolist() == [250_000, 250_000]
        assert chunk.x is not None
        assert chunk.x.tolist() == [3, 4]
        now.now_s += 0.01
        silent = progress.take(device.read(0.0))
        assert silent is not None
        assert (len(silent), silent.t_end_us) == (0, 260_000)
        assert device.clock == "host"


def test_timestamps_of_32_bits_go_on_behind_their_wrap() -> None:
    with opened(clock="sensor") as (device, sender, _):
        for t_us in (2**32 - 5, 3):
            sender.send(word(1, 1, timed=True) + struct.pack("<I", t_us))
        times: list[int] = []
        while len(times) < 2:
            times += device.read(TIMEOUT_S).columns.t_us.tolist()
        assert times == [2**32 - 5, 2**32 + 3]


def test_times_that_are_missing_or_not_asked_for_are_told() -> None:
    with opened(clock="sensor") as (device, sender, _):
        sender.send(word(1, 1) + word(2, 2, timed=True) + struct.pack("<I", 7))
        arrival = device.read(TIMEOUT_S)
        assert arrival.columns.t_us.tolist() == [7]
        assert (arrival.lost, arrival.columns.problems.counts) == (1, {"no_timestamp": 1})
    with opened(clock="host") as (device, sender, _):
        sender.send(word(2, 2, timed=True) + struct.pack("<I", 7))
        arrival = device.read(TIMEOUT_S)
        assert (len(arrival.columns), arrival.columns.problems.counts) == (1, {"ignored_time": 1})


def test_datagrams_that_this_machine_drops_are_counted() -> None:
    """Far more than the socket's buffer holds come before anybody reads."""
    sent = 4_000
    with opened(buffer_bytes=4_096) as (device, sender, _):
        for _ in range(sent):
            sender.send(word(1, 2) * 16)
        events = dropped = told = 0
        # The kernel tells with a datagram what it has dropped before it, again and again.
        for later in (False, True, True):
            if later:
                sender.send(word(1, 2) * 16)
            while (arrival := device.read(0.05)).came_us is not None:
                events += len(arrival.columns)
                dropped += arrival.lost
                told += arrival.columns.problems.counts.get("overflow", 0)
    assert dropped == told > 0
    assert events // 16 + dropped == sent + 2


@pytest.mark.parametrize("layout", ["t64_x16_y16_on8", "t32_x16_y15_on1"])
def test_faerys_own_sender(layout: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    events = np.zeros(5_000, faery.EVENTS_DTYPE)
    events["t"] = 10**6 + np.sort(rng.integers(0, 500_000, len(events)))
    events["x"], events["y"] = rng.integers(0, 346, 5_000), rng.integers(0, 260, 5_000)
    events["on"] = rng.random(5_000) < 0.5
    source = open_source(f"udp://127.0.0.1:0?size=346x260&format={layout}&silence=sensor")
    assert isinstance(source, LiveStream)
    assert isinstance(source.device, UdpDevice)
    port = source.device.address.port
    np.save(tmp_path / "events.npy", events)
    # A process of its own, since the encoder leaves its socket open.
    command = [sys.executable, "-c", SENDER, str(tmp_path / "events.npy"), str(port), layout]
    with subprocess.Popen(command) as sender:
        chunks = taken(source, len(events))
        assert sender.wait(TIMEOUT_S) == 0
    assert np.concatenate([chunk.t_us for chunk in chunks]).tolist() == events["t"].tolist()
    assert np.concatenate([chunk.y for chunk in chunks if chunk.y is not None]).tolist() == (
        events["y"].tolist()
    )
    assert sum(chunk.lost for chunk in chunks) == 0
    assert source.clock == "sensor"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from(["host", "sensor"]),
    st.lists(st.binary(max_size=120), max_size=8),
)
def test_hostile_datagrams_never_end_the_stream(
    layout: str, clock: Clock, datagrams: list[bytes]
) -> None:
    """What decodes lies in the sensor, time never goes back, and a good datagram is still taken."""
    with opened(layout, clock) as (device, sender, now):
        progress = Progress(GRID, device.name, foresees=device.foresees)
        chunks: list[EventChunk] = []
        for data in [*datagrams, word(7, 7, timed=True) + struct.pack("<III", 1, 0, 0)]:
            sender.send(data)
            now.now_s += 0.001
            chunk = progress.take(device.read(TIMEOUT_S))
            if chunk is not None:
                chunks.append(chunk)
        ends = [chunk.t_end_us for chunk in chunks]
        assert ends == sorted(ends)
        assert all(abs(end) <= 2**61 for end in ends)
        for chunk in chunks:
            assert chunk.x is not None
            assert chunk.y is not None
            assert (chunk.x < 346).all()
            assert (chunk.y < 260).all()


def test_bad_texts_say_how_they_are_mended() -> None:
    for text, told in {
        "udp:3333": "is no address, expected //HOST:PORT",
        "udp://127.0.0.1:70000?size=3x3": "is no address",
        "udp://127.0.0.1:0": "does not tell its sensor; give its size",
        "udp://127.0.0.1:0?size=3": "expected WIDTHxHEIGHT",
        "udp://127.0.0.1:0?size=0x3": "a grid has 1 to 65536 pixels a side",
        "udp://127.0.0.1:0?sise=3x3": "did you mean size?",
        "udp://127.0.0.1:0?size=3x3&size=4x4": "is given twice",
        "udp://127.0.0.1:0?size=3x3&overload=drop": "expected block or shed_oldest",
    }.items():
        with pytest.raises(SensorError, match=told.replace("?", r"\?")):
            open_source(text)
    with pytest.raises(SensorError, match="does not tell its sensor"):
        open_source("udp://127.0.0.1:0", ChannelGeometry(4))


def test_an_address_in_use_is_told() -> None:
    with opened() as (device, _, _), pytest.raises(LiveError, match="cannot listen at udp"):
        UdpDevice(device.address, GRID)
    with pytest.raises(LiveError, match="an address of this machine"):
        UdpDevice(Address("203.0.113.1", 0), GRID)
