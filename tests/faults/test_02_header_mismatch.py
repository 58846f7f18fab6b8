"""Row 2: a header that counts other than the payload holds: rejected before any allocation."""

import tracemalloc

import msgspec
import pytest

from retempo.runtime.feed import Credit, Rejection
from retempo.sensors.errors import WireError
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, decode, encode_message
from tests.runtime.stand_in import GRID, Peer, events, running_daemon

pytestmark = pytest.mark.fault(2)

COUNTS = [0, 2, 4, 2**31, 2**32, 2**61, 2**63 // 7 + 1, 2**64 // 7 + 1, 2**64 - 1, -1]
AT = Cursor("a", GRID, 5)
HEADER, PAYLOAD = (bytes(f) for f in encode_message("events", events([1, 2, 3]), AT))


def counting(count: int, **values: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(HEADER) | {"count": count} | values)


@pytest.mark.parametrize("count", COUNTS)
def test_02_nothing_is_allocated_by_the_word_of_a_header(count: int) -> None:
    header = counting(count)
    with pytest.raises(WireError):
        decode([header, PAYLOAD])
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode([header, PAYLOAD])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64_000


def test_02_the_daemon_rejects_counts_and_goes_on_with_the_stream() -> None:
    broken = [[counting(count), PAYLOAD] for count in COUNTS]
    broken += [[HEADER, PAYLOAD[:-1]], [HEADER, PAYLOAD + b"\0"], [HEADER, b""]]
    with running_daemon() as daemon, Peer(daemon.feed) as peer:
        peer.send(encode_message("open", no_events(GRID, 0), AT))
        assert isinstance(peer.receive(), Credit)
        for frames in broken:
            peer.send(frames)
            assert isinstance(peer.receive_until(Rejection), Rejection)
        peer.send([HEADER, PAYLOAD])
        while True:
            answer = peer.receive()
            assert isinstance(answer, Credit)
            if answer.acknowledged == 0:
                break
    report = daemon.reports[0]
    assert report.malformed == len(broken)
    assert (report.counters.received, report.counters.binned) == (3, 3)
    assert report.counters.lost == 0
