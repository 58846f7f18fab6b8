"""`tcp+evt:` sources over the loopback: whatever the pieces, the events of the file."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.collect import read_all
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.evt import Version
from retempo.sensors.files import open_recording
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.live.options import Address
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.network.evt_tcp import EvtDevice, Wanted
from retempo.sensors.network.tcp import Peer
from retempo.sensors.open import open_source
from tests.sensors.network.evt_bytes import HEADER, evt3_bytes, evt3_times

TIMEOUT_S = 30.0
GRID = GridGeometry(640, 480)


@contextmanager
def sender(*connections: list[bytes], reset: bool = False) -> Iterator[int]:
    """A server that sends pieces to each connection in turn and closes it; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for pieces in connections:
                connection, _ = server.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for piece in pieces:
                        connection.sendall(piece)
                    if reset:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def times(chunks: list[EventChunk]) -> list[int]:
    return [t for chunk in chunks for t in chunk.t_us.tolist()]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("recording", "scheme"),
    [
        ("evt3.raw", "tcp+evt"),
        ("evt3.raw", "tcp+evt3"),
        ("evt2.raw", "tcp+evt"),
        ("evt2_sample.raw", "tcp+evt2"),
    ],
)
def test_a_file_that_is_sent_is_the_file(
    recordings_folder: Path, recording: str, scheme: str
) -> None:
    path = recordings_folder / "recordings" / recording
    expected = read_all(open_recording(path, policy="skip"))
    with sender(cut(path.read_bytes(), 100_001)) as port:
        whole = read_all(open_source(f"{scheme}://127.0.0.1:{port}?size=1280x720"))
    for name in ("t_us", "x", "y", "on"):
        assert getattr(whole, name).tolist() == getattr(expected, name).tolist()
    assert dict(whole.problems) == dict(expected.problems)


def test_a_header_tells_what_the_text_leaves_open() -> None:
    data = HEADER + evt3_bytes(500)
    for size in (1, 3, 64, len(data)):
        with sender(cut(data, size)) as port:
            source = open_source(f"tcp+evt://127.0.0.1:{port}")
            assert source.geometry == GRID
            chunks = list(source)
        assert times(chunks) == evt3_times(500)


def test_without_a_header_the_text_has_to_tell() -> None:
    with sender([evt3_bytes(500)]) as port:
        chunks = list(open_source(f"tcp+evt3://127.0.0.1:{port}?size=640x480"))
    assert times(chunks) == evt3_times(500)
    for text in ("tcp+evt://127.0.0.1:{}?size=640x480", "tcp+evt3://127.0.0.1:{}"):
        with sender([evt3_bytes(500)]) as port, pytest.raises(LiveError, match="without a header"):
            open_source(text.format(port))


def test_silence_is_told_by_the_words_of_the_clock() -> None:
    """Ten TIME_HIGH words behind the last event, and not an event more."""
    clock = struct.pack("<10H", *(0x8000 | high for high in range(1, 11)))
    with sender([evt3_bytes(5), clock]) as port:
        chunks = list(open_source(f"tcp+evt3://127.0.0.1:{port}?size=640x480"))
    assert times(chunks) == evt3_times(5)
    assert chunks[-1].t_end_us == 10 << 12


def test_a_connection_that_ends_within_a_word_says_so() -> None:
    with sender([evt3_bytes(5) + b"\x00"]) as port:
        chunks = list(open_source(f"tcp+evt3://127.0.0.1:{port}?size=640x480"))
    assert dict(chunks[-1].problems) == {"truncated": 1}
    assert times(chunks) == evt3_times(5)


def test_a_connection_that_breaks_is_an_error() -> None:
    with sender([evt3_bytes(5)], reset=True) as port:
        # The reset may overtake the connection itself.
        at = f"127.0.0.1:{port}"
        told = f"the connection to {at} broke|cannot connect to {at}: Connection reset"
        with pytest.raises(LiveError, match=told):
            list(open_source(f"tcp+evt3://127.0.0.1:{port}?size=640x480"))


def test_a_sender_that_comes_back_goes_on_where_time_stood() -> None:
    with sender([HEADER, evt3_bytes(5)], [HEADER, evt3_bytes(3)]) as port:
        source = open_source(f"tcp+evt://127.0.0.1:{port}?reconnect=60")
        assert isinstance(source, LiveStream)
        chunks = []
        for chunk in source:
            chunks.append(chunk)
            if len(times(chunks)) == 8:
                source.stop()
    assert times(chunks)[:5] == evt3_times(5)
    again = times(chunks)[5:]
    assert again[0] >= evt3_times(5)[-1]
    assert np.diff(again).tolist() == np.diff(evt3_times(3)).tolist()
    assert sum(chunk.problems.get("restarted", 0) for chunk in chunks) == 1


def test_a_sender_that_stays_away_is_the_end() -> None:
    now = [0.0]
    with sender([evt3_bytes(5)]) as port:
        peer = Peer(Address("127.0.0.1", port), listens=False)
        peer.meet_first()
    wanted = Wanted("tcp+evt3://there", "3", grid=GRID)
    device = EvtDevice(peer, wanted, reconnect_s=10.0, clock_s=lambda: now[0])
    arrivals = [device.read(TIMEOUT_S), device.read(TIMEOUT_S)]
    now[0] = 9.0
    arrivals.append(device.read(0.001))
    now[0] = 11.0
    arrivals.append(device.read(0.001))
    device.close()
    assert [len(each.columns) for each in arrivals] == [5, 0, 0, 0]
    assert [each.last for each in arrivals] == [False, False, False, True]


def test_it_can_be_connected_to() -> None:
    peer = Peer(Address("127.0.0.1", 0), listens=True)

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", peer.address.port)) as connection:
            connection.sendall(evt3_bytes(50))

    thread = threading.Thread(target=connect)
    thread.start()
    peer.meet_first()
    device = EvtDevice(peer, Wanted("tcp+evt3://here", "3", grid=GRID))
    assert times(list(LiveStream(device, "block"))) == evt3_times(50)
    thread.join(TIMEOUT_S)


class Fed:
    """A peer that hands over given pieces and closes."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def receive(self, timeout_s: float, most_bytes: int) -> bytes:
        del timeout_s, most_bytes
        return next(self._pieces, b"")

    def close(self) -> None: ...


@given(st.sampled_from(sorted(get_args(Version))), st.lists(st.binary(min_size=1), max_size=8))
def test_any_bytes_give_events_of_the_sensor_and_an_end(
    version: Version, pieces: list[bytes]
) -> None:
    # A header of the wrong kind is refused; here are words alone.
    words = [b"\0" * 8, *pieces]
    device = EvtDevice(cast(Peer, Fed(words)), Wanted("fed", version, grid=GRID))
    chunks = list(LiveStream(device, "block"))
    told = [chunk.t_end_us for chunk in chunks]
    assert told == sorted(told)
    for chunk in chunks:
        assert chunk.x is not None
        assert chunk.y is not None
        assert (chunk.x < GRID.width).all()
        assert (chunk.y < GRID.height).all()


def test_what_does_not_fit_is_told() -> None:
    with (
        sender([HEADER, evt3_bytes(5)]) as port,
        pytest.raises(LiveError, match=r"header states EVT 3, expected EVT 2; give the scheme"),
    ):
        open_source(f"tcp+evt2://127.0.0.1:{port}")
    with (
        sender([b"% evt 3.0\n", evt3_bytes(5)]) as port,
        pytest.raises(LiveError, match="header states no sensor; give its size"),
    ):
        open_source(f"tcp+evt://127.0.0.1:{port}")
    with (
        sender([b"% evt 9.0\n", evt3_bytes(5)]) as port,
        pytest.raises(LiveError, match=r"states EVT 9, expected a header line"),
    ):
        open_source(f"tcp+evt://127.0.0.1:{port}?size=3x3")
    with sender([]) as port, pytest.raises(LiveError, match="the sender closed before its header"):
        open_source(f"tcp+evt://127.0.0.1:{port}")
    with pytest.raises(LiveError, match="does anybody send there"):
        open_source("tcp+evt3://127.0.0.1:1?size=3x3")
    with pytest.raises(SensorError, match="is a camera, got the geometry 4 channels"):
        open_source("tcp+evt3://127.0.0.1:1", ChannelGeometry(4))
